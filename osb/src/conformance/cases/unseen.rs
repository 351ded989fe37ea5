//! Requirements of brokers that a run may have nothing to say of, each with the reason: a choice that is right either way, something
//! that can't be seen from outside, or something that this broker never came to answer with.

use super::super::requirement::Row;

const CHOICE: &str = "a choice of the service broker, right either way";
const OUTSIDE: &str = "it can't be seen from outside";
const SUMMED_UP: &str = "it is judged by the rows of each endpoint";

/// Why nothing is said of a requirement.
pub(in super::super) fn unseen(row: &Row) -> Option<&'static str> {
    let reason = match row.id {
        "VER-06" | "RID-03" | "AUTH-04" | "CAT-02" | "GSI-07" | "GSB-05" | "OM-25" | "LOB-03" => CHOICE,
        "OID-03" => "a platform's duty; whether the service broker looks at it is its own choice",
        "SYN-02" | "CAT-04" | "AMB-09" => OUTSIDE,
        "ERR-01" | "AMB-08" => SUMMED_UP,
        "LOI-05" => "a request for the last operation has nothing that is mandatory",
        "DEP-02" => "a platform's duty; what a service broker does with bindings left is its own choice",
        "DEP-08" | "AUTH-03" => "a platform's duty",
        "ERR-02" => "no answer was an error with a body",
        "ERR-03" | "ERR-04" => "no error was answered that could hold it",
        "ERR-05" => "the service broker does everything at once",
        "ERR-06" | "ERR-12" | "CON-01" | "CON-06" | "GSI-05" => "nothing could be asked while an operation went on",
        "ERR-07" | "BND-12" => "the service broker binds without an application",
        "ERR-08" => "the plan has no maintenance_info",
        "ERR-11" => "no answer held a reserved word",
        "LOI-07" | "LOI-09" | "LOI-10" => "no answer to polling gave reason to look at it",
        "PRV-09" | "PRV-14" | "UPD-11" | "UPD-12" | "BND-09" | "UNB-03" | "DEP-04" | "DEP-09" | "ASY-02" | "ASY-04"
        | "AMB-06" => "nothing of the kind was asynchronous",
        "PRV-07" | "BND-07" | "UPD-10" | "UNB-02" | "DEP-03" | "SYN-01" => "nothing of the kind was done at once",
        "AMB-12" => "the service broker does everything at once",
        "AMB-15" | "CTX-03" => "orders were sent with what was given",
        "PRV-13" => "no answer held a dashboard_url",
        "PRV-15" => "no answer held metadata of an instance",
        "BND-16" | "BND-17" => "no bind returned credentials",
        "BND-18" => "no bind returned a syslog_drain_url",
        "BND-19" => "no bind returned a route_service_url",
        "BND-20" => "no bind returned volume_mounts",
        "BND-21" => "no bind returned endpoints",
        "BND-22" | "BND-23" => "no bind returned metadata",
        _ => return None,
    };
    Some(reason)
}
