//! Aligned columns for a terminal, without lines and without colour.

/// Which side of its column a text keeps to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// A table under construction.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(String, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new<const N: usize>(columns: [(&str, Side); N]) -> Self {
        let columns = columns.into_iter().map(|(name, side)| (name.to_owned(), side)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row, one text per column.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells.into());
    }

    /// The table, each line after `indent` spaces and without spaces at its end.
    pub fn text(&self, indent: usize) -> String {
        let width = |at: usize| {
            let cells = self.rows.iter().map(|row| row[at].as_str());
            cells.chain([self.columns[at].0.as_str()]).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let heading: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let mut text = String::new();
        for row in std::iter::once(&heading).chain(&self.rows) {
            let mut line = " ".repeat(indent);
            for ((cell, (_, side)), width) in row.iter().zip(&self.columns).zip(&widths) {
                let gap = " ".repeat(width - cell.chars().count());
                match side {
                    Side::Left => line.push_str(&format!("{cell}{gap}  ")),
                    Side::Right => line.push_str(&format!("{gap}{cell}  ")),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_stands_in_them() {
        let mut table = Table::new([("wallet", Side::Left), ("n", Side::Right)]);
        table.row(["a…b".into(), "7".into()]);
        table.row(["treasury".into(), "1183".into()]);
        assert_eq!(table.text(2), "  wallet       n\n  a…b          7\n  treasury  1183\n");
    }
}
