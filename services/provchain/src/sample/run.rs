//! One production run, from the farms to the shops.

use serde_json::json;

use super::draft::Draft;
use super::random::Random;
use super::truth::Entry;
use super::world::{Actor, Item, PRODUCTS, Product, World};
use crate::epcis::time::Timestamp;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// Packs in a case, cases that a run makes, cases on a shop's pallet.
const PACKS: usize = 6;
const CASES: usize = 6;
const CASES_OF_A_SHOP: usize = 3;

/// A case and what is in it.
#[derive(Clone, Debug)]
struct Case {
    case: Item,
    packs: Vec<Item>,
}

/// What goes on from one run to the next.
#[derive(Debug)]
pub struct Chain {
    world: World,
    random: Random,
    runs: usize,
    /// What is left of the last run of each product, for the next one.
    rests: [Option<Item>; PRODUCTS.len()],
    /// Cases that stand at each distributor.
    stock: Vec<Vec<Case>>,
    serial: usize,
}

impl Chain {
    pub fn new(seed: u64) -> Self {
        let world = World::new();
        Self {
            stock: vec![Vec::new(); world.distributors.len()],
            world,
            random: Random::new(seed),
            runs: 0,
            rests: [const { None }; PRODUCTS.len()],
            serial: 0,
        }
    }

    fn serial(&mut self) -> usize {
        self.serial += 1;
        self.serial
    }

    /// The events of the next run, which begins at `start`, in no order.
    pub fn run(&mut self, start: Timestamp) -> Vec<Draft> {
        let number = self.runs;
        self.runs += 1;
        let kind = number % PRODUCTS.len();
        let processor = self.world.processors[number % self.world.processors.len()].clone();
        let distributor = self.random.below(self.world.distributors.len());
        let mut drafts = Vec::new();
        let mut clock = Clock(start.unix_micros);
        let raw = self.deliver(number, &PRODUCTS[kind], &processor, &mut clock, &mut drafts);
        let lot = self.process(number, kind, raw, &processor, &mut clock, &mut drafts);
        let product = &PRODUCTS[kind];
        let cases = self.pack(number, product, &lot, &processor, &mut clock, &mut drafts);
        self.haul(cases, &processor, distributor, &mut clock, &mut drafts);
        self.distribute(distributor, &mut clock, &mut drafts);
        drafts
    }

    /// Farms bring their lots; the first lot of the first run is the one that is recalled.
    fn deliver(
        &mut self,
        number: usize,
        product: &Product,
        processor: &Actor,
        clock: &mut Clock,
        drafts: &mut Vec<Draft>,
    ) -> Vec<Item> {
        let count = 2 + self.random.below(2);
        let first = self.random.below(self.world.farms.len());
        let mut lots = Vec::new();
        for index in 0..count {
            let farm = self.world.farms[(first + index) % self.world.farms.len()].clone();
            let name = format!("F{number}-{index}");
            let mut lot = farm.lot(product.raw, &name);
            lot.affected = number == 0 && index == 0;
            let litres = 1000.0 + f64::from(u32::try_from(self.random.below(2000)).unwrap_or(0));
            let amount = [(&lot, litres, "LTR")];
            let advice = self.serial();
            let entry = if lot.affected {
                Entry::Recalled(lot.clone())
            } else {
                Entry::Made(lot.clone())
            };
            drafts.push(
                Draft::new("ObjectEvent", &farm, clock.after(HOUR))
                    .doing("ADD", "commissioning", "active")
                    .weighing("quantityList", &farm, &amount)
                    .with(
                        "ilmd",
                        json!({ "cbvmda:lotNumber": name, "example:harvest": "morning" }),
                    )
                    .entering(entry),
            );
            drafts.push(
                Draft::new("ObjectEvent", &farm, clock.after(2 * HOUR))
                    .doing("OBSERVE", "shipping", "in_transit")
                    .weighing("quantityList", &farm, &amount)
                    .transferring(&farm, processor, advice),
            );
            drafts.push(
                Draft::new("ObjectEvent", processor, clock.after(5 * HOUR))
                    .doing("OBSERVE", "receiving", "in_progress")
                    .weighing("quantityList", processor, &amount)
                    .transferring(&farm, processor, advice)
                    .logged(&farm.logger(number), &mut self.random, 2),
            );
            lots.push(lot);
        }
        lots
    }

    /// Each stage makes one lot of all that came before it.
    fn process(
        &mut self,
        number: usize,
        kind: usize,
        raw: Vec<Item>,
        processor: &Actor,
        clock: &mut Clock,
        drafts: &mut Vec<Draft>,
    ) -> Item {
        let mut inputs = raw;
        for stage in PRODUCTS[kind].stages {
            if stage.takes_rest {
                inputs.extend(self.rests[kind].take());
            }
            let name = format!("P{number}");
            let lot = processor.lot(stage.item, &name).from(&inputs);
            let weighed: Vec<_> = inputs.iter().map(|input| (input, 950.5, "KGM")).collect();
            let output = [(&lot, 900.0, stage.uom)];
            let event = |time| {
                Draft::new("TransformationEvent", processor, time)
                    .with("bizStep", json!("commissioning"))
                    .with("disposition", json!("active"))
            };
            let made = Entry::Made(lot.clone());
            if stage.split {
                let id = format!("urn:epc:id:gdti:{}.00002.{number}", processor.company);
                drafts.push(
                    event(clock.after(HOUR))
                        .weighing("inputQuantityList", processor, &weighed)
                        .with("transformationID", json!(id)),
                );
                drafts.push(
                    event(clock.after(6 * HOUR))
                        .weighing("outputQuantityList", processor, &output)
                        .with("transformationID", json!(id))
                        .entering(made),
                );
            } else {
                drafts.push(
                    event(clock.after(4 * HOUR))
                        .weighing("inputQuantityList", processor, &weighed)
                        .weighing("outputQuantityList", processor, &output)
                        .with("ilmd", json!({ "cbvmda:lotNumber": name }))
                        .entering(made),
                );
            }
            inputs = vec![lot];
        }
        let lot = inputs.remove(0);
        // Every third run of a product keeps something back for the next one.
        if (number / PRODUCTS.len()).is_multiple_of(3) {
            self.rests[kind] = Some(lot.clone());
        }
        lot
    }

    /// The last lot is filled into packs, and packs into cases.
    fn pack(
        &mut self,
        number: usize,
        product: &Product,
        lot: &Item,
        processor: &Actor,
        clock: &mut Clock,
        drafts: &mut Vec<Draft>,
    ) -> Vec<Case> {
        let mut cases = Vec::new();
        for _ in 0..CASES {
            let case = processor.logistic_unit(self.serial());
            let mut packs = Vec::new();
            for _ in 0..PACKS {
                let serial = format!("{}{}", self.serial(), self.random.below(10));
                packs.push(processor.unit(product.pack, &serial).from([lot]));
            }
            cases.push(Case {
                case: case.from(&packs),
                packs,
            });
        }
        let time = clock.after(3 * HOUR);
        let expiry = Timestamp {
            unix_micros: time.unix_micros + product.shelf_days * DAY,
        };
        let packs = || cases.iter().flat_map(|case| &case.packs);
        let mut filling = Draft::new("TransformationEvent", processor, time)
            .with("bizStep", json!("commissioning"))
            .with("disposition", json!("active"))
            .weighing("inputQuantityList", processor, &[(lot, 72.5, "KGM")])
            .listing("outputEPCList", processor, packs())
            .with(
                "ilmd",
                json!({
                    "cbvmda:lotNumber": format!("P{number}"),
                    "cbvmda:itemExpirationDate": expiry.to_string()[..10],
                }),
            );
        for pack in packs() {
            filling = filling.entering(Entry::Made(pack.clone()));
        }
        drafts.push(filling);
        for Case { case, packs } in &cases {
            drafts.push(
                Draft::new("AggregationEvent", processor, clock.after(HOUR / 4))
                    .doing("ADD", "packing", "in_progress")
                    .with("parentID", json!(case.spelled(processor.spelling)))
                    .listing("childEPCs", processor, packs)
                    .entering(Entry::Made(case.clone())),
            );
        }
        cases
    }

    /// A pallet with a logger goes from the processor to the distributor.
    fn haul(
        &mut self,
        cases: Vec<Case>,
        processor: &Actor,
        distributor: usize,
        clock: &mut Clock,
        drafts: &mut Vec<Draft>,
    ) {
        let to = self.world.distributors[distributor].clone();
        let logger = processor.logger(10 + self.random.below(20));
        let pallet = processor.logistic_unit(self.serial());
        let pallet = self.load(pallet, &cases, processor, clock, drafts);
        for (action, step) in [("ADD", "installing"), ("DELETE", "removing")] {
            let (actor, time) = match action {
                "ADD" => (processor, clock.after(HOUR / 4)),
                _ => (
                    &to,
                    Timestamp {
                        unix_micros: clock.0 + 30 * HOUR,
                    },
                ),
            };
            drafts.push(
                Draft::new("AssociationEvent", actor, time)
                    .doing(action, step, "in_progress")
                    .with("parentID", json!(pallet.spelled(actor.spelling)))
                    .listing("childEPCs", actor, [&logger]),
            );
        }
        self.travel(
            &pallet,
            (processor, &to),
            &logger,
            Vec::new(),
            clock,
            drafts,
        );
        clock.after(3 * HOUR);
        Self::unload(&pallet, &cases, &to, clock, drafts);
        self.stock[distributor].extend(cases);
    }

    /// Shops' pallets are made up of the cases in stock, oldest first, and go out.
    fn distribute(&mut self, distributor: usize, clock: &mut Clock, drafts: &mut Vec<Draft>) {
        let from = self.world.distributors[distributor].clone();
        // One pallet's worth stays, so that the next run's cases get mixed with it.
        while self.stock[distributor].len() >= 2 * CASES_OF_A_SHOP {
            // Any case of the older half, so that pallets hold cases of several runs.
            let cases: Vec<Case> = (0..CASES_OF_A_SHOP)
                .map(|_| {
                    let stock = &mut self.stock[distributor];
                    let place = self.random.below(stock.len().div_ceil(2));
                    stock.remove(place)
                })
                .collect();
            let shop = self.random.below(self.world.retailers.len());
            let shop = self.world.retailers[shop].clone();
            let logger = from.logger(40 + self.random.below(20));
            let pallet = from.logistic_unit(self.serial());
            let pallet = self.load(pallet, &cases, &from, clock, drafts);
            let order = format!("urn:epcglobal:cbv:bt:{}:PO{}", shop.gln(), self.serial());
            drafts.push(
                Draft::new("TransactionEvent", &from, clock.after(HOUR / 4))
                    .doing("ADD", "staging_outbound", "in_progress")
                    .with(
                        "bizTransactionList",
                        json!([{ "type": "po", "bizTransaction": order }]),
                    )
                    .listing("epcList", &from, [&pallet]),
            );
            let mut received = vec![pallet.clone()];
            for Case { case, packs } in &cases {
                received.push(case.clone());
                received.extend(packs.iter().cloned());
            }
            self.travel(&pallet, (&from, &shop), &logger, received, clock, drafts);
            Self::unload(&pallet, &cases, &shop, clock, drafts);
            let sold = &cases[0].packs[..PACKS / 2];
            drafts.push(
                Draft::new("ObjectEvent", &shop, clock.after(DAY))
                    .doing("DELETE", "retail_selling", "retail_sold")
                    .listing("epcList", &shop, sold),
            );
        }
    }

    fn load(
        &mut self,
        pallet: Item,
        cases: &[Case],
        actor: &Actor,
        clock: &mut Clock,
        drafts: &mut Vec<Draft>,
    ) -> Item {
        let pallet = pallet.from(cases.iter().map(|case| &case.case));
        drafts.push(
            Draft::new("AggregationEvent", actor, clock.after(HOUR / 2))
                .doing("ADD", "packing", "in_progress")
                .with("parentID", json!(pallet.spelled(actor.spelling)))
                .listing("childEPCs", actor, cases.iter().map(|case| &case.case))
                .entering(Entry::Made(pallet.clone())),
        );
        pallet
    }

    fn unload(
        pallet: &Item,
        cases: &[Case],
        actor: &Actor,
        clock: &mut Clock,
        drafts: &mut Vec<Draft>,
    ) {
        drafts.push(
            Draft::new("AggregationEvent", actor, clock.after(HOUR / 2))
                .doing("DELETE", "unpacking", "in_progress")
                .with("parentID", json!(pallet.spelled(actor.spelling)))
                .listing("childEPCs", actor, cases.iter().map(|case| &case.case)),
        );
    }

    /// Shipping and receiving; `received` is what a shop gets, empty for other receivers.
    fn travel(
        &mut self,
        pallet: &Item,
        (from, to): (&Actor, &Actor),
        logger: &Item,
        received: Vec<Item>,
        clock: &mut Clock,
        drafts: &mut Vec<Draft>,
    ) {
        let advice = self.serial();
        drafts.push(
            Draft::new("ObjectEvent", from, clock.after(HOUR))
                .doing("OBSERVE", "shipping", "in_transit")
                .listing("epcList", from, [pallet])
                .transferring(from, to, advice),
        );
        let mut receiving = Draft::new("ObjectEvent", to, clock.after(20 * HOUR))
            .doing("OBSERVE", "receiving", "in_progress")
            .listing("epcList", to, [pallet])
            .transferring(from, to, advice)
            .logged(logger, &mut self.random, 5);
        if !received.is_empty() {
            receiving = receiving.entering(Entry::Received {
                retailer: to.clone(),
                items: received,
            });
        }
        drafts.push(receiving);
    }
}

/// The time within a run, in microseconds since 1970.
struct Clock(i64);

impl Clock {
    fn after(&mut self, micros: i64) -> Timestamp {
        self.0 += micros;
        Timestamp {
            unix_micros: self.0,
        }
    }
}
