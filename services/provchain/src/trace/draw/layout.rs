//! Where boxes and arrows stand: a layered drawing, from left to right.
//!
//! After Sugiyama, Tagawa and Toda, “Methods for visual understanding of hierarchical system
//! structures” (1981): boxes in columns ([`super::layers`]); arrows over several columns bend in each
//! of them; columns are sorted by the barycentre of their neighbours, in a fixed number of passes; then
//! each box comes as near to its neighbours as the order of its column lets it. That last step is
//! exact for one column: isotonic regression, by pooling adjacent violators.

use super::graph::{Edge, Graph};
use super::layers::layers;

/// All lengths are in pixels.
pub(super) const BOX_WIDTH: i32 = 176;
pub(super) const BOX_HEIGHT: i32 = 46;
pub(super) const MARGIN: i32 = 24;
const BETWEEN_COLUMNS: i32 = 72;
const BETWEEN_BOXES: i32 = 14;
/// What a bend of a long arrow takes of its column.
const BEND_HEIGHT: i32 = 4;

/// Bends of a whole drawing; further arrows go straight.
const BENDS_MAX: usize = 4000;

const ORDER_PASSES: usize = 8;
const PLACE_PASSES: usize = 6;

/// A placed drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub width: i32,
    pub height: i32,
    /// Left upper corner of every node's box.
    pub boxes: Vec<(i32, i32)>,
    /// Of every edge: the points that it goes through.
    pub routes: Vec<Vec<(i32, i32)>>,
}

/// A box, or a bend of an arrow in a column between its ends.
struct Cell {
    column: usize,
    height: i32,
    before: Vec<usize>,
    after: Vec<usize>,
    /// The middle, from top to bottom.
    middle: f64,
}

/// Places a graph.
pub(super) fn layout(graph: &Graph) -> Layout {
    let mut sheet = Sheet::new(graph);
    sheet.order();
    sheet.place();
    sheet.finish(graph)
}

struct Sheet {
    /// The nodes, then the bends.
    cells: Vec<Cell>,
    columns: Vec<Vec<usize>>,
    /// The cells that an arrow goes through; `None` for one that goes back.
    chains: Vec<Option<Vec<usize>>>,
}

impl Sheet {
    fn new(graph: &Graph) -> Self {
        let column_of = layers(graph);
        let cell = |column, height| Cell {
            column,
            height,
            before: Vec::new(),
            after: Vec::new(),
            middle: 0.0,
        };
        let mut cells: Vec<Cell> = column_of
            .iter()
            .map(|column| cell(*column, BOX_HEIGHT))
            .collect();
        let mut bends = 0;
        let mut chains = Vec::with_capacity(graph.edges.len());
        for Edge { from, to, .. } in &graph.edges {
            let (left, right) = (column_of[*from], column_of[*to]);
            if right <= left {
                chains.push(None);
                continue;
            }
            let mut chain = vec![*from];
            if bends + (right - left) <= BENDS_MAX {
                for column in left + 1..right {
                    chain.push(cells.len());
                    cells.push(cell(column, BEND_HEIGHT));
                    bends += 1;
                }
            }
            chain.push(*to);
            for pair in chain.windows(2) {
                cells[pair[0]].after.push(pair[1]);
                cells[pair[1]].before.push(pair[0]);
            }
            chains.push(Some(chain));
        }
        let last = column_of.iter().max().copied().unwrap_or_default();
        let mut columns = vec![Vec::new(); last + 1];
        for (place, cell) in cells.iter().enumerate() {
            columns[cell.column].push(place);
        }
        Self {
            cells,
            columns,
            chains,
        }
    }

    /// Sorts each column by where its neighbours stand in theirs.
    fn order(&mut self) {
        let mut rank = vec![0.0; self.cells.len()];
        for column in &self.columns {
            note_ranks(column, &mut rank);
        }
        for pass in 0..ORDER_PASSES {
            let rightwards = pass % 2 == 0;
            for step in 0..self.columns.len() {
                let at = if rightwards {
                    step
                } else {
                    self.columns.len() - 1 - step
                };
                let cells = &self.cells;
                let wanted = |place: &usize| {
                    let cell = &cells[*place];
                    let neighbours = if rightwards {
                        &cell.before
                    } else {
                        &cell.after
                    };
                    mean(neighbours.iter().map(|other| rank[*other])).unwrap_or(rank[*place])
                };
                let mut sorted: Vec<(f64, usize)> = self.columns[at]
                    .iter()
                    .map(|place| (wanted(place), *place))
                    .collect();
                // Stable: what is equal stays in its order.
                sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
                self.columns[at] = sorted.into_iter().map(|(_, place)| place).collect();
                note_ranks(&self.columns[at], &mut rank);
            }
        }
    }

    /// Moves every cell towards the mean of its neighbours, as far as the order allows.
    fn place(&mut self) {
        for at in 0..self.columns.len() {
            let none = |_: &Cell| Vec::new();
            self.place_column(at, none);
        }
        for pass in 0..PLACE_PASSES {
            for step in 0..self.columns.len() {
                match pass {
                    0 | 2 => self.place_column(step, |cell| cell.before.clone()),
                    1 | 3 => {
                        let at = self.columns.len() - 1 - step;
                        self.place_column(at, |cell| cell.after.clone());
                    }
                    _ => self
                        .place_column(step, |cell| [cell.before.as_slice(), &cell.after].concat()),
                }
            }
        }
    }

    fn place_column(&mut self, at: usize, neighbours: impl Fn(&Cell) -> Vec<usize>) {
        let column = &self.columns[at];
        let mut wanted = Vec::with_capacity(column.len());
        let mut offsets = Vec::with_capacity(column.len());
        let mut offset = 0.0;
        for (nth, place) in column.iter().enumerate() {
            let cell = &self.cells[*place];
            if let Some(above) = nth.checked_sub(1) {
                let above = &self.cells[column[above]];
                offset += f64::from(above.height + cell.height) / 2.0 + f64::from(BETWEEN_BOXES);
            }
            let middles = neighbours(cell)
                .into_iter()
                .map(|other| self.cells[other].middle);
            wanted.push(mean(middles).unwrap_or(cell.middle) - offset);
            offsets.push(offset);
        }
        for ((place, middle), offset) in column.iter().zip(ascending(&wanted)).zip(offsets) {
            self.cells[*place].middle = middle + offset;
        }
    }

    fn finish(self, graph: &Graph) -> Layout {
        let top = |cell: &Cell| cell.middle - f64::from(cell.height) / 2.0;
        let highest = self.cells.iter().map(top).fold(f64::INFINITY, f64::min);
        let y = |place: usize| round(self.cells[place].middle - highest) + MARGIN;
        let x = |place: usize| {
            let column = i32::try_from(self.cells[place].column).unwrap_or(i32::MAX);
            column
                .saturating_mul(BOX_WIDTH + BETWEEN_COLUMNS)
                .saturating_add(MARGIN)
        };
        let boxes: Vec<(i32, i32)> = (0..graph.nodes.len())
            .map(|node| (x(node), y(node) - BOX_HEIGHT / 2))
            .collect();
        let bottom = (0..self.cells.len()).map(&y).max().unwrap_or(MARGIN) + BOX_HEIGHT / 2;
        let right = (0..self.cells.len()).map(&x).max().unwrap_or(MARGIN) + BOX_WIDTH;
        let mut routes = Vec::with_capacity(self.chains.len());
        for (chain, edge) in self.chains.iter().zip(&graph.edges) {
            let mut route = Vec::new();
            match chain.as_deref() {
                Some([from, between @ .., to]) => {
                    route.push((x(*from) + BOX_WIDTH, y(*from)));
                    for bend in between {
                        route.extend([(x(*bend), y(*bend)), (x(*bend) + BOX_WIDTH, y(*bend))]);
                    }
                    route.push((x(*to), y(*to)));
                }
                // Back: from the lower side of one box to that of the other.
                _ => {
                    for end in [edge.from, edge.to] {
                        route.push((x(end) + BOX_WIDTH / 2, y(end) + BOX_HEIGHT / 2));
                    }
                }
            }
            routes.push(route);
        }
        Layout {
            width: right + MARGIN,
            height: bottom + MARGIN,
            boxes,
            routes,
        }
    }
}

fn note_ranks(column: &[usize], rank: &mut [f64]) {
    // Between 0 and 1, so that columns of different lengths compare.
    let parts = to_f64(column.len());
    for (nth, place) in column.iter().enumerate() {
        rank[*place] = (to_f64(nth) + 0.5) / parts;
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| {
        (sum + value, count + 1)
    });
    (count > 0).then(|| sum / to_f64(count))
}

/// The ascending numbers that are nearest to these (least squares): where some descend, their mean.
fn ascending(wanted: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &value in wanted {
        let (mut sum, mut count) = (value, 1_usize);
        while let Some(&(above, members)) = pools.last()
            && above / to_f64(members) >= sum / to_f64(count)
        {
            sum += above;
            count += members;
            pools.pop();
        }
        pools.push((sum, count));
    }
    let spread = |(sum, count): (f64, usize)| std::iter::repeat_n(sum / to_f64(count), count);
    pools.into_iter().flat_map(spread).collect()
}

fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// To the nearest pixel. The cast saturates; a drawing of bounded size has small coordinates.
fn round(value: f64) -> i32 {
    value.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_descends_is_drawn_to_its_mean_and_the_rest_stays() {
        assert_eq!(ascending(&[1.0, 2.0, 5.0]), [1.0, 2.0, 5.0]);
        assert_eq!(ascending(&[1.0, 6.0, 2.0, 9.0]), [1.0, 4.0, 4.0, 9.0]);
        assert_eq!(ascending(&[3.0, 2.0, 1.0]), [2.0, 2.0, 2.0]);
        assert_eq!(ascending(&[]), [0.0; 0]);
    }
}
