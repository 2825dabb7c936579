//! The words in which the rules of a border lane speak of travellers and their documents.

/// An enumeration that is written as the same kebab-case words everywhere: in the register, in JSON, in CSV, in a policy.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            /// From the word alone.
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| $crate::words::UnknownWord {
                    text: text.to_owned(),
                    known: &[$($word),*],
                })
            }
        }
    };
}

/// A word that is not among those known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}, got `{text}`", known.join(", "))]
pub struct UnknownWord {
    /// What was given.
    pub text: String,
    /// The words that are known.
    pub known: &'static [&'static str],
}

words! {
    /// Where a traveller is resident: what the pilot lanes tell travellers apart by.
    Category {
        /// A resident of the Chinese mainland.
        MainlandResident = "mainland-resident",
        /// A resident of Hong Kong.
        HongKongResident = "hong-kong-resident",
        /// A resident of Macao.
        MacaoResident = "macao-resident",
        /// Anybody else.
        Other = "other",
    }
}

words! {
    /// The group of nationalities that the rules tell apart.
    Nationality {
        /// A Chinese citizen.
        Chinese = "chinese",
        /// A citizen of another country, or of none.
        Other = "other",
    }
}

words! {
    /// The kind of a travel document.
    DocumentKind {
        /// Exit-Entry Permit for Travelling to and from Hong Kong and Macao (mainland residents).
        ExitEntryPermitHkMacao = "exit-entry-permit-hk-macao",
        /// The same permit, issued for official duty.
        OfficialExitEntryPermitHkMacao = "official-exit-entry-permit-hk-macao",
        /// Mainland Travel Permit for Hong Kong and Macao Residents.
        MainlandTravelPermitHkMacao = "mainland-travel-permit-hk-macao",
        /// The same permit for residents who are not Chinese citizens.
        MainlandTravelPermitNonChinese = "mainland-travel-permit-non-chinese",
        /// A passport.
        Passport = "passport",
        /// A passport issued for official duty.
        OfficialPassport = "official-passport",
        /// Any other document.
        Other = "other",
    }
}

words! {
    /// What an endorsement in a permit is for.
    EndorsementKind {
        /// Visiting family.
        FamilyVisit = "family-visit",
        /// Business.
        Business = "business",
        /// Talent.
        Talent = "talent",
        /// Individual travel.
        IndividualVisit = "individual-visit",
        /// Travel in a group.
        GroupVisit = "group-visit",
        /// A longer stay.
        Stay = "stay",
        /// Crews of vehicles and vessels.
        Crew = "crew",
        /// Official duty.
        OfficialDuty = "official-duty",
        /// Any other purpose.
        Other = "other",
    }
}

words! {
    /// How often an endorsement may be used.
    Entries {
        /// Once.
        Single = "single",
        /// Twice.
        Double = "double",
        /// Any number of times.
        Multiple = "multiple",
    }
}

words! {
    /// The direction of a passage, seen from the mainland.
    Direction {
        /// Into the mainland.
        Entry = "entry",
        /// Out of the mainland.
        Exit = "exit",
    }
}

words! {
    /// The outcome of a passage.
    Outcome {
        /// The lane opened.
        Admit = "admit",
        /// The traveller was sent to an officer.
        Refer = "refer",
    }
}
