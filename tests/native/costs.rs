//! What docs/costs.md says a month costs is what `make cost` computes.

use crate::month;

#[test]
fn the_costs_of_a_month_are_what_make_cost_prints() {
    let table = month::table(&month::budget());
    assert!(include_str!("../../docs/costs.md").contains(&table), "docs/costs.md should have this table:\n{table}");
}
