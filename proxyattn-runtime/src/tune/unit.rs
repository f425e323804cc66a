//! Serialises units by name.

use super::Bucket;
use proxyattn_codegen::cuda::UnitId;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(unit: &UnitId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(unit.name())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnitId, D::Error> {
    let name = String::deserialize(deserializer)?;
    UnitId::named(&name).ok_or_else(|| {
        let known: Vec<_> = UnitId::ALL.iter().map(|unit| unit.name()).collect();
        D::Error::custom(format!("expected a unit, one of {}, got `{name}`", known.join(", ")))
    })
}

/// Serialises pairs of a unit and a bucket.
pub(super) fn pairs<S: Serializer>(pairs: &[(UnitId, Bucket)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(pairs.iter().map(|(unit, bucket)| (unit.name(), bucket)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Named {
        #[serde(with = "super")]
        unit: UnitId,
    }

    #[test]
    fn a_unit_is_written_and_read_by_its_name() {
        for &unit in UnitId::ALL {
            let text = serde_json::to_string(&Named { unit }).expect("a name");
            assert_eq!(text, format!("{{\"unit\":\"{unit}\"}}"));
            assert_eq!(serde_json::from_str::<Named>(&text).expect("the same"), Named { unit });
        }
        let unknown =
            serde_json::from_str::<Named>("{\"unit\":\"lists\"}").expect_err("there is none").to_string();
        let expected = "expected a unit, one of scoring, score, budget, attend, dense, got `lists`";
        assert!(unknown.contains(expected), "{unknown}");
    }
}
