//! Who takes part, what they make, and how they spell it.

use crate::epcis::identifier::check_digit;

/// The two spellings of GS1 identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// EPC URNs.
    Urn,
    /// GS1 Digital Link URIs.
    DigitalLink,
}

/// A company at one place. Company prefixes begin with 952, which GS1 keeps for examples.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The seven-digit GS1 company prefix.
    pub company: String,
    /// How this company writes identifiers.
    pub spelling: Spelling,
    /// `+02:00` and the like.
    pub offset: &'static str,
}

impl Actor {
    fn new(number: usize, spelling: Spelling, offset: &'static str) -> Self {
        Self {
            company: format!("952{number:04}"),
            spelling,
            offset,
        }
    }

    /// The Global Location Number.
    pub fn gln(&self) -> String {
        with_check(format!("{}00001", self.company))
    }

    /// The location's EPC URN.
    pub fn sgln(&self) -> String {
        format!("urn:epc:id:sgln:{}.00001.0", self.company)
    }

    /// The company as a party, in this company's spelling.
    pub fn party(&self) -> String {
        match self.spelling {
            Spelling::Urn => format!("urn:epc:id:pgln:{}.00001", self.company),
            Spelling::DigitalLink => format!("https://id.gs1.org/417/{}", self.gln()),
        }
    }

    /// The place, in this company's spelling.
    pub fn place(&self) -> String {
        match self.spelling {
            Spelling::Urn => self.sgln(),
            Spelling::DigitalLink => format!("https://id.gs1.org/414/{}", self.gln()),
        }
    }

    /// A lot of the product with the six-digit reference `item`.
    pub fn lot(&self, item: &str, lot: &str) -> Item {
        let (indicator, reference) = item.split_at(1);
        let gtin = with_check(format!("{indicator}{}{reference}", self.company));
        Item::new(
            format!("urn:epc:class:lgtin:{}.{item}.{lot}", self.company),
            format!("https://id.gs1.org/01/{gtin}/10/{lot}"),
        )
    }

    /// One unit of the product with the six-digit reference `item`.
    pub fn unit(&self, item: &str, serial: &str) -> Item {
        let (indicator, reference) = item.split_at(1);
        let gtin = with_check(format!("{indicator}{}{reference}", self.company));
        Item::new(
            format!("urn:epc:id:sgtin:{}.{item}.{serial}", self.company),
            format!("https://id.gs1.org/01/{gtin}/21/{serial}"),
        )
    }

    /// A logistic unit: a case or a pallet.
    pub fn logistic_unit(&self, serial: usize) -> Item {
        let code = with_check(format!("3{}{serial:09}", self.company));
        Item::new(
            format!("urn:epc:id:sscc:{}.3{serial:09}", self.company),
            format!("https://id.gs1.org/00/{code}"),
        )
    }

    /// A sensor logger.
    pub fn logger(&self, number: usize) -> Item {
        Item::new(
            format!("urn:epc:id:giai:{}.LOG{number}", self.company),
            format!("https://id.gs1.org/8004/{}LOG{number}", self.company),
        )
    }
}

fn with_check(mut digits: String) -> String {
    digits.push(check_digit(&digits));
    digits
}

/// Something that is made or moved, and what the bookkeeping knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The EPC URN.
    pub urn: String,
    /// The GS1 Digital Link URI at `id.gs1.org`.
    pub link: String,
    /// Whether it is the recalled batch, is made of it, or holds something that is.
    pub affected: bool,
    /// How many steps lead from the furthest origin to it.
    pub depth: usize,
    /// The furthest origin.
    pub origin: String,
}

impl Item {
    fn new(urn: String, link: String) -> Self {
        Self {
            origin: link.clone(),
            urn,
            link,
            affected: false,
            depth: 0,
        }
    }

    /// This item, as made of or holding `parts`.
    pub fn from<'a>(mut self, parts: impl IntoIterator<Item = &'a Item>) -> Self {
        for part in parts {
            self.affected |= part.affected;
            if part.depth + 1 > self.depth {
                self.depth = part.depth + 1;
                self.origin.clone_from(&part.origin);
            }
        }
        self
    }

    /// The identifier as `actor` writes it.
    pub fn spelled(&self, spelling: Spelling) -> &str {
        match spelling {
            Spelling::Urn => &self.urn,
            Spelling::DigitalLink => &self.link,
        }
    }
}

/// A step of processing: what comes out, and how.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// The six-digit item reference of what comes out.
    pub item: &'static str,
    /// The unit of measure of what comes out.
    pub uom: &'static str,
    /// Whether inputs and outputs are told in two events with one `transformationID`.
    pub split: bool,
    /// Whether what is left of the run before goes in.
    pub takes_rest: bool,
}

/// A product: what farms deliver, the steps that make it, and the packs that are sold.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// The six-digit item reference of what farms deliver.
    pub raw: &'static str,
    /// The steps of processing.
    pub stages: &'static [Stage],
    /// The six-digit item reference of a pack.
    pub pack: &'static str,
    /// Days from packing to the expiry date.
    pub shelf_days: i64,
}

const fn stage(item: &'static str, uom: &'static str) -> Stage {
    Stage {
        item,
        uom,
        split: false,
        takes_rest: false,
    }
}

/// The products. Cheese has the longest chain: seven steps from milk to blend, then the pack, its
/// case and its pallet.
pub const PRODUCTS: [Product; 3] = [
    Product {
        raw: "000100",
        stages: &[
            stage("000110", "LTR"),
            stage("000111", "LTR"),
            Stage {
                split: true,
                ..stage("000112", "KGM")
            },
            stage("000113", "KGM"),
            stage("000114", "KGM"),
            stage("000115", "KGM"),
            Stage {
                takes_rest: true,
                ..stage("000116", "KGM")
            },
        ],
        pack: "000119",
        shelf_days: 90,
    },
    Product {
        raw: "000200",
        stages: &[
            stage("000210", "LTR"),
            Stage {
                split: true,
                ..stage("000211", "LTR")
            },
            stage("000212", "LTR"),
        ],
        pack: "000219",
        shelf_days: 28,
    },
    Product {
        raw: "000300",
        stages: &[
            stage("000310", "KGM"),
            Stage {
                takes_rest: true,
                ..stage("000311", "LTR")
            },
        ],
        pack: "000319",
        shelf_days: 180,
    },
];

/// Everyone who takes part.
#[derive(Clone, Debug)]
pub struct World {
    /// They deliver what is processed.
    pub farms: Vec<Actor>,
    /// They process and pack.
    pub processors: Vec<Actor>,
    /// They unpack pallets and pack others for each shop.
    pub distributors: Vec<Actor>,
    /// They sell.
    pub retailers: Vec<Actor>,
}

impl World {
    /// The one world of all samples.
    pub fn new() -> Self {
        let actors = |first: usize, count: usize, offset| {
            (first..first + count)
                .map(|number| {
                    let spelling = if number.is_multiple_of(3) {
                        Spelling::DigitalLink
                    } else {
                        Spelling::Urn
                    };
                    Actor::new(number, spelling, offset)
                })
                .collect()
        };
        Self {
            farms: actors(1001, 9, "+02:00"),
            processors: actors(2001, 3, "+02:00"),
            distributors: actors(3001, 2, "+01:00"),
            retailers: actors(4001, 14, "+01:00"),
        }
    }
}
