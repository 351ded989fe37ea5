//! Which kind of service an offering is: one of the categories of FOCUS, as the offering's broker says in its metadata
//! (`"x-focus": {"service_category": "Networking", "service_subcategory": "Network Security"}`).
//!
//! What is no word of the specification counts as not said: an export is valid whatever a catalog holds.

use serde_json::Value;

/// Where an offering's metadata says it.
pub const METADATA: &str = "x-focus";

/// The categories, each with its subcategories (FOCUS 1.2, ServiceCategory and ServiceSubcategory); besides, each has an
/// `Other (category)`.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "AI and Machine Learning",
        &["AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing"],
    ),
    (
        "Analytics",
        &["Analytics Platforms", "Business Intelligence", "Data Processing", "Search", "Streaming Analytics"],
    ),
    ("Business Applications", &["Productivity and Collaboration"]),
    ("Compute", &["Containers", "End User Computing", "Quantum Compute", "Serverless Compute", "Virtual Machines"]),
    (
        "Databases",
        &[
            "Caching",
            "Data Warehouses",
            "Ledger Databases",
            "NoSQL Databases",
            "Relational Databases",
            "Time Series Databases",
        ],
    ),
    (
        "Developer Tools",
        &[
            "Developer Platforms",
            "Continuous Integration and Deployment",
            "Development Environments",
            "Source Code Management",
            "Quality Assurance",
        ],
    ),
    ("Identity", &["Identity and Access Management"]),
    ("Integration", &["API Management", "Messaging", "Workflow Orchestration"]),
    ("Internet of Things", &["IoT Analytics", "IoT Platforms"]),
    (
        "Management and Governance",
        &[
            "Architecture",
            "Compliance",
            "Cost Management",
            "Data Governance",
            "Disaster Recovery",
            "Endpoint Management",
            "Observability",
            "Support",
        ],
    ),
    ("Media", &["Content Creation", "Gaming", "Media Streaming", "Mixed Reality"]),
    ("Migration", &["Data Migration", "Resource Migration"]),
    ("Mobile", &[]),
    ("Multicloud", &["Multicloud Integration"]),
    (
        "Networking",
        &[
            "Application Networking",
            "Content Delivery",
            "Network Connectivity",
            "Network Infrastructure",
            "Network Routing",
            "Network Security",
        ],
    ),
    ("Security", &["Secret Management", "Security Posture Management", "Threat Detection and Response"]),
    ("Storage", &["Backup Storage", "Block Storage", "File Storage", "Object Storage", "Storage Platforms"]),
    ("Web", &["Application Platforms"]),
    ("Other", &[]),
];

const OTHER: &str = "Other";

/// A category and one of its subcategories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    category: &'static str,
    subcategory: Option<&'static str>,
}

impl Default for Category {
    fn default() -> Self {
        Self { category: OTHER, subcategory: None }
    }
}

impl Category {
    /// What an offering's `metadata` says.
    pub fn of(metadata: &Value) -> Self {
        let said = |name: &str| metadata.get(METADATA).and_then(|said| said.get(name)).and_then(Value::as_str);
        let Some((category, below)) =
            said("service_category").and_then(|word| ALLOWED.iter().find(|(category, _)| *category == word))
        else {
            return Self::default();
        };
        let subcategory =
            said("service_subcategory").and_then(|word| below.iter().find(|allowed| **allowed == word).copied());
        Self { category, subcategory }
    }

    /// The column `ServiceCategory`.
    pub fn category(&self) -> &str {
        self.category
    }

    /// The column `ServiceSubcategory`.
    pub fn subcategory(&self) -> String {
        self.subcategory.map_or_else(|| format!("{OTHER} ({})", self.category), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(said: Value, category: &str, subcategory: &str) {
        let read = Category::of(&json!({"x-focus": said}));
        assert_eq!((read.category(), read.subcategory().as_str()), (category, subcategory), "{said}");
    }

    #[test]
    fn what_an_offering_says_counts_where_the_specification_knows_it() {
        let both = |category: &str, subcategory: &str| json!({"service_category": category, "service_subcategory": subcategory});
        check(both("Security", "Secret Management"), "Security", "Secret Management");
        check(both("Security", "Network Security"), "Security", "Other (Security)");
        check(both("Networking", ""), "Networking", "Other (Networking)");
        check(both("networking", "Network Security"), "Other", "Other (Other)");
        check(json!({"service_category": "Mobile"}), "Mobile", "Other (Mobile)");
        check(json!({"service_subcategory": "Network Security"}), "Other", "Other (Other)");
        check(json!({"service_category": 1}), "Other", "Other (Other)");
        check(json!(null), "Other", "Other (Other)");
        assert_eq!(Category::of(&Value::Null), Category::default());
    }

    #[test]
    fn the_reference_offerings_say_what_they_are() {
        for (catalog, category, subcategory) in [
            (include_str!("../../../catalog/vnet-ipam.json"), "Networking", "Network Connectivity"),
            (include_str!("../../../catalog/bastion.json"), "Networking", "Network Security"),
            (include_str!("../../../catalog/key-vault.json"), "Security", "Secret Management"),
            (include_str!("../../../catalog/devops-toolchain.json"), "Developer Tools", "Developer Platforms"),
        ] {
            let catalog: Value = serde_json::from_str(catalog).unwrap();
            let read = Category::of(&catalog["services"][0]["metadata"]);
            assert_eq!((read.category(), read.subcategory().as_str()), (category, subcategory));
        }
    }
}
