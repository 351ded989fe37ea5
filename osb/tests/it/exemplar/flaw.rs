//! The faults that only the broker itself can have; all others are made on the wire.

use super::state::Kind;

/// One thing that the exemplar does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    AppliesRefusedUpdates,
    BindConflictAnswered200,
    BindingIdsAreGlobal,
    BindsAgainWithOtherCredentials,
    BindsUnderAnyPlan,
    CallsRepeatsDone,
    ChangesAnyPlan,
    ConflictAnswered200,
    ConflictWhileInProgressTaken,
    FinishesCancelledProvisions,
    ForgetsOperationsOfTheDeleted,
    ForgetsParametersOnUpdate,
    ForgetsPlanOnUpdate,
    IgnoresParametersOfARepeat,
    IgnoresPlanOfARepeat,
    IgnoresPredecessorOfARepeat,
    IgnoresSpaceOfARepeat,
    KeepsDeletedBindings,
    KeepsDeletedInstances,
    /// Starts an asynchronous operation for who did not say `accepts_incomplete=true`.
    NeverAsksForPatience(Kind),
    NoMaintenanceCheckOnProvision,
    NoMaintenanceCheckOnUpdate,
    NoParameterCheck,
    PlanOfAnyOffering,
    ReadsLag,
    RefusesRepeats,
    RepeatsUnderAnotherWord,
    ReservesRefusedIds,
    RotatesFromAnything,
    RotationEndsThePredecessor,
    RotationForgetsParameters,
    SharesCredentials,
    ShowsBindingsTooEarly,
    ShowsInstancesTooEarly,
    TellsSuccessOnce,
    UpdatesToUnknownPlans,
}
