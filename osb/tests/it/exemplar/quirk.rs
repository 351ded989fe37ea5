//! Faults and choices that only the broker itself can have; all others are made on the wire.

use super::state::Kind;

/// One thing that the exemplar does in another way: most are wrong, some are choices that OSB leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    AppliesRefusedUpdates,
    /// A choice: a bind is never asynchronous.
    BindsAtOnce,
    /// A choice: a bind is always asynchronous.
    BindsSlowly,
    BindConflictAnswered200,
    BindConflictWhileInProgressTaken,
    BreaksOnBindingsOfNothing,
    BindingIdsAreGlobal,
    BindsAgainWithOtherCredentials,
    BindsUnderAnyPlan,
    CallsRepeatedDeletionsGone,
    CallsRepeatedUpdatesDone,
    CallsRepeatsDone,
    /// A choice (CON-05).
    CancelsBinds,
    ChangesAnyPlan,
    /// A choice (DEP-02).
    ClingsToBindings,
    ConflictAnswered200,
    ConflictWhileInProgressTaken,
    ConflictsWithItsOwnBinds,
    /// A choice: a deprovision is always asynchronous.
    DeprovisionsSlowly,
    /// A choice: the first poll finds the operation done.
    EndsBeforeItIsPolled,
    FinishesCancelledBinds,
    FinishesCancelledProvisions,
    FetchesTheDeletedAsGone,
    ForgetsOperationsOfTheDeleted,
    ForgetsParametersOnUpdate,
    ForgetsPlanOnUpdate,
    /// A choice (DEP-10).
    IgnoresIdsOfDeletions,
    IgnoresOrganizationOfARepeat,
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
    NothingToUnbindIsNotFound,
    /// A choice (BND-13).
    OneBindAtATime,
    PlanOfAnyOffering,
    PollsUnderTheNewPlan,
    ReadsLag,
    RefusesRepeats,
    /// A choice (UPD-10).
    RefusesTheSamePlan,
    /// A choice (CON-04).
    RefusesToCancel,
    /// A choice (PRV-01).
    RefusesUsedIds,
    RepeatsUnderAnotherWord,
    ReservesRefusedIds,
    RotatesFromAnything,
    RotationEndsThePredecessor,
    RotationForgetsParameters,
    SharesCredentials,
    ShowsBindingsTooEarly,
    ShowsInstancesTooEarly,
    /// A choice (GSI-05).
    ShowsWhileUpdating,
    TellsSuccessOnce,
    UnbindsEverything,
    UpdatesToUnknownPlans,
    /// A choice (AMB-08).
    ValidatesBeforeItCompares,
}
