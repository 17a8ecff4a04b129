//! The Core Business Vocabulary's bare words.
//!
//! Source: GS1 Core Business Vocabulary 2.0 (CBV, ratified June 2022), sections 7.1 to 7.7, and
//! the GS1 Web Vocabulary's measurement and alert types, as listed by the EPCIS 2.0 JSON-LD
//! context and JSON schema.

/// A closed list of words; the IRI of a word is [`Vocabulary::namespace`] followed by the word.
#[derive(Debug)]
pub struct Vocabulary {
    /// What an entry is called in a message.
    pub title: &'static str,
    /// What every IRI of the list begins with.
    pub namespace: &'static str,
    words: &'static [&'static str],
}

impl Vocabulary {
    /// Whether `word` is one of the list.
    pub fn contains(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// The words, for messages and generators.
    pub fn words(&self) -> &'static [&'static str] {
        self.words
    }
}

/// Business steps (CBV 7.1).
pub static BIZ_STEP: Vocabulary = Vocabulary {
    title: "business step",
    namespace: "https://ref.gs1.org/cbv/BizStep-",
    words: &[
        "shipping",
        "receiving",
        "packing",
        "unpacking",
        "commissioning",
        "inspecting",
        "storing",
        "transporting",
        "retail_selling",
        "sensor_reporting",
        "accepting",
        "arriving",
        "assembling",
        "collecting",
        "consigning",
        "creating_class_instance",
        "cycle_counting",
        "decommissioning",
        "departing",
        "destroying",
        "disassembling",
        "dispensing",
        "encoding",
        "entering_exiting",
        "holding",
        "installing",
        "killing",
        "loading",
        "other",
        "picking",
        "removing",
        "repackaging",
        "repairing",
        "replacing",
        "reserving",
        "sampling",
        "staging_outbound",
        "stock_taking",
        "stocking",
        "unloading",
        "void_shipping",
    ],
};

/// Dispositions (CBV 7.2).
pub static DISPOSITION: Vocabulary = Vocabulary {
    title: "disposition",
    namespace: "https://ref.gs1.org/cbv/Disp-",
    words: &[
        "active",
        "in_transit",
        "in_progress",
        "available",
        "completeness_verified",
        "completeness_inferred",
        "conformant",
        "container_closed",
        "container_open",
        "damaged",
        "destroyed",
        "dispensed",
        "disposed",
        "encoded",
        "expired",
        "inactive",
        "mismatch_instance",
        "mismatch_class",
        "mismatch_quantity",
        "needs_replacement",
        "no_pedigree_match",
        "non_conformant",
        "non_sellable_other",
        "partially_dispensed",
        "recalled",
        "reserved",
        "retail_sold",
        "returned",
        "sellable_accessible",
        "sellable_not_accessible",
        "stolen",
        "unavailable",
        "unknown",
    ],
};

/// Business transaction types (CBV 7.3).
pub static BIZ_TRANSACTION_TYPE: Vocabulary = Vocabulary {
    title: "business transaction type",
    namespace: "https://ref.gs1.org/cbv/BTT-",
    words: &[
        "po",
        "desadv",
        "inv",
        "bol",
        "cert",
        "pedigree",
        "poc",
        "prodorder",
        "recadv",
        "rma",
        "testprd",
        "testres",
        "upevt",
    ],
};

/// Source and destination types (CBV 7.4).
pub static SOURCE_DEST_TYPE: Vocabulary = Vocabulary {
    title: "source or destination type",
    namespace: "https://ref.gs1.org/cbv/SDT-",
    words: &["owning_party", "possessing_party", "location"],
};

/// Error reasons (CBV 7.5).
pub static ERROR_REASON: Vocabulary = Vocabulary {
    title: "error reason",
    namespace: "https://ref.gs1.org/cbv/ER-",
    words: &["did_not_occur", "incorrect_data"],
};

/// Components of a measured vector (CBV 7.7).
pub static COMPONENT: Vocabulary = Vocabulary {
    title: "component",
    namespace: "https://ref.gs1.org/cbv/Comp-",
    words: &[
        "x",
        "y",
        "z",
        "axial_distance",
        "azimuth",
        "height",
        "spherical_radius",
        "polar_angle",
        "elevation_angle",
        "easting",
        "northing",
        "latitude",
        "longitude",
        "altitude",
    ],
};

/// Alert types (GS1 Web Vocabulary).
pub static ALERT_TYPE: Vocabulary = Vocabulary {
    title: "sensor alert type",
    namespace: "https://gs1.org/voc/",
    words: &["ALARM_CONDITION", "ERROR_CONDITION"],
};

/// Measurement types (GS1 Web Vocabulary).
pub static MEASUREMENT_TYPE: Vocabulary = Vocabulary {
    title: "measurement type",
    namespace: "https://gs1.org/voc/",
    words: &[
        "Temperature",
        "RelativeHumidity",
        "AbsoluteHumidity",
        "AbsorbedDose",
        "AbsorbedDoseRate",
        "Acceleration",
        "Radioactivity",
        "Altitude",
        "AmountOfSubstance",
        "AmountOfSubstancePerUnitVolume",
        "Angle",
        "AngularAcceleration",
        "AngularMomentum",
        "AngularVelocity",
        "Area",
        "Capacitance",
        "Conductance",
        "Conductivity",
        "Count",
        "Density",
        "Dimensionless",
        "DoseEquivalent",
        "DoseEquivalentRate",
        "DynamicViscosity",
        "ElectricCharge",
        "ElectricCurrent",
        "ElectricCurrentDensity",
        "ElectricFieldStrength",
        "Energy",
        "Exposure",
        "Force",
        "Frequency",
        "Illuminance",
        "Inductance",
        "Irradiance",
        "KinematicViscosity",
        "Length",
        "LinearMomentum",
        "Luminance",
        "LuminousFlux",
        "LuminousIntensity",
        "MagneticFlux",
        "MagneticFluxDensity",
        "MagneticVectorPotential",
        "Mass",
        "MassConcentration",
        "MassFlowRate",
        "MassPerAreaTime",
        "MemoryCapacity",
        "MolalityOfSolute",
        "MolarEnergy",
        "MolarMass",
        "MolarVolume",
        "Power",
        "Pressure",
        "RadiantFlux",
        "RadiantIntensity",
        "Resistance",
        "Resistivity",
        "SolidAngle",
        "SpecificVolume",
        "Speed",
        "SurfaceDensity",
        "SurfaceTension",
        "Time",
        "Torque",
        "Voltage",
        "Volume",
        "VolumeFlowRate",
        "VolumeFraction",
        "VolumetricFlux",
        "Wavenumber",
    ],
};
