//! A share set that nobody made, which a plan names as a parent.

use super::cast::{WALLETS, name};
use super::scene::{Epochs, Scene};
use super::twist::Twist;
use perennial_model::encoding::{self, encode};
use perennial_model::epoch::Epoch;
use perennial_model::plan::{Action, PlannedWallet};

impl Scene {
    /// A plan that refreshes what nobody made; people see a digest.
    pub(super) fn plan_from_forged_parent(&mut self, made: &Epochs) {
        let is_approved = self.is(Twist::ParentOfNobody);
        if !is_approved && !self.is(Twist::ParentOfNoApprovedPlan) {
            return;
        }
        let mut plan = self.plan(Action::Refresh, Some(made));
        let mut forged = made.sets[0].clone();
        (forged.epoch, forged.parent) = (Epoch::new(1, 2), Some(encoding::digest(&made.sets[0])));
        (plan.rank, plan.wallets[0]) = (3, PlannedWallet::Held(name(WALLETS[0]), encoding::digest(&forged)));
        let subject = plan.digest().to_string();
        self.enter("plan-submitted", &subject, encode(&plan));
        if is_approved {
            let approved = encode(&self.approved(&plan));
            self.enter("plan-approved", &subject, approved);
        }
        self.documents.push(encode(&forged));
    }
}
