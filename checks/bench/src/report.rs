//! What a benchmark found: every figure with its floor or rival from the same run, and the target if there is one.
//! Nothing here fails: a target that was not reached is said, not enforced.

use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

/// One benchmark's outcome.
pub struct Report {
    /// Its name.
    pub name: &'static str,
    /// What was done, in a line or two.
    pub what: String,
    /// What was found.
    pub figures: Vec<Figure>,
}

/// How busy the machine was, this benchmark included.
pub struct Load {
    /// Before it began.
    pub before: String,
    /// When it had ended.
    pub after: String,
}

/// One figure.
pub struct Figure {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What it is held against, in the same unit.
    pub beside: Option<Beside>,
    /// What it should come to.
    pub target: Option<Target>,
}

/// Something measured in the same run.
pub struct Beside {
    /// What kind of thing.
    pub kind: Kind,
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
}

/// What a figure is held against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing that does the same can take less. The ratio says how many times as much is taken.
    Floor,
    /// Nothing that does the same can do more. The ratio says how many times as much is possible.
    Ceiling,
    /// Somebody else's way to the same end. The ratio says how many times less is taken.
    Rival,
    /// The same without what is being examined. The ratio says how many times as much is taken.
    Undisturbed,
}

/// What a figure should come to.
#[derive(Clone, Copy)]
pub enum Target {
    /// The value, or less.
    AtMost(f64),
    /// The value, or more.
    AtLeast(f64),
    /// The ratio, or less.
    RatioAtMost(f64),
    /// The ratio, or more.
    RatioAtLeast(f64),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ceiling => "ceiling",
            Self::Rival => "rival",
            Self::Undisturbed => "undisturbed",
        }
    }
}

impl Figure {
    /// A figure that stands for itself.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, beside: None, target: None }
    }

    /// Holds it against something.
    pub fn beside(mut self, kind: Kind, name: impl Into<String>, value: f64) -> Self {
        self.beside = Some(Beside { kind, name: name.into(), value });
        self
    }

    /// Says what it should come to.
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// How it compares with what it is held against.
    fn ratio(&self) -> Option<f64> {
        let beside = self.beside.as_ref()?;
        Some(match beside.kind {
            Kind::Floor | Kind::Undisturbed => self.value / beside.value,
            Kind::Rival | Kind::Ceiling => beside.value / self.value,
        })
    }

    fn is_reached(&self) -> Option<bool> {
        let ratio = self.ratio().unwrap_or(f64::NAN);
        Some(match self.target? {
            Target::AtMost(most) => self.value <= most,
            Target::AtLeast(least) => self.value >= least,
            Target::RatioAtMost(most) => ratio <= most,
            Target::RatioAtLeast(least) => ratio >= least,
        })
    }

    fn target_text(&self) -> String {
        match self.target {
            None => String::new(),
            Some(Target::AtMost(most)) => format!("≤ {} {}", shown(most), self.unit),
            Some(Target::AtLeast(least)) => format!("≥ {} {}", shown(least), self.unit),
            Some(Target::RatioAtMost(most)) => format!("ratio ≤ {}", shown(most)),
            Some(Target::RatioAtLeast(least)) => format!("ratio ≥ {}", shown(least)),
        }
    }

    fn json(&self) -> Value {
        let beside = self
            .beside
            .as_ref()
            .map(|beside| json!({ "kind": beside.kind.name(), "name": beside.name, "value": beside.value }));
        json!({
            "name": self.name, "value": self.value, "unit": self.unit, "beside": beside, "ratio": self.ratio(),
            "target": self.target.map(|_| self.target_text()), "reached": self.is_reached(),
        })
    }
}

impl Report {
    /// For programs.
    pub fn json(&self, load: &Load) -> Value {
        let load = json!({ "before": load.before, "after": load.after });
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        json!({ "benchmark": self.name, "what": self.what, "load": load, "figures": figures })
    }

    /// For people.
    pub fn print(&self, load: &Load) {
        println!("{}: {}", self.name, self.what);
        println!(
            "load of the machine over 1, 5 and 15 minutes: {} before, {} after",
            load.before, load.after
        );
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header(["", "measured", "held against", "", "ratio", "target", ""]);
        for figure in &self.figures {
            let beside = figure.beside.as_ref();
            table.add_row([
                figure.name.clone(),
                format!("{} {}", shown(figure.value), figure.unit),
                beside.map(|beside| format!("{}: {}", beside.kind.name(), beside.name)).unwrap_or_default(),
                beside.map(|beside| format!("{} {}", shown(beside.value), figure.unit)).unwrap_or_default(),
                figure.ratio().map(|ratio| format!("{} ×", shown(ratio))).unwrap_or_default(),
                figure.target_text(),
                match figure.is_reached() {
                    Some(true) => "reached".to_owned(),
                    Some(false) => "NOT REACHED".to_owned(),
                    None => String::new(),
                },
            ]);
        }
        for column in [1, 3, 4] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        println!("{table}\n");
    }
}

/// Three digits that count, or all before the point.
fn shown(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 100.0 || magnitude == 0.0 {
        format!("{value:.0}")
    } else if magnitude >= 10.0 {
        format!("{value:.1}")
    } else if magnitude >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}
