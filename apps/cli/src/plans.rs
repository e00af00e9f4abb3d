//! From a wish to a ceremony: the coordinator drafts a plan, people read it, and it is submitted, approved and
//! followed as far as the command says.

use crate::api::Ceremony;
use crate::approve::{self, Approver};
use crate::arguments::Terms;
use crate::ceremony;
use crate::failure::Failure;
use crate::key_file::ApproverKey;
use crate::operator::{Form, Operator};
use crate::rendering::ReadPlan;
use serde_json::{Value, json};

/// Adds what all plans have in common to a draft.
pub fn with_terms(operator: &Operator, mut draft: Value, terms: &Terms) -> Value {
    draft["unsafe_ok"] = terms.unsafe_against_liars.into();
    if let Some(settings) = &operator.cluster.settings {
        draft["initiator"] = settings.initiator.as_str().into();
    }
    draft
}

/// Drafts and submits a plan, and goes on as the terms say. Gives the ceremony where it was waited for.
pub fn propose(operator: &Operator, draft: &Value, terms: &Terms) -> Result<Option<Ceremony>, Failure> {
    let key = terms.approve_with.as_deref().map(ApproverKey::read).transpose()?;
    let plan = operator.client.draft(draft)?;
    operator.remark(&plan.text());
    let name = operator.client.submit(&plan)?.ceremony;
    let approved = match key {
        None => Value::Null,
        Some(key) => {
            let approver = Approver::find(operator, &key, None)?;
            approve::consent(operator, terms.yes)?;
            approve::sign(operator, &plan, &approver, &key)?
        }
    };
    if !terms.wait {
        operator.answer(&next(operator, &plan, &approved), &json!({"ceremony": name, "approval": approved}));
        return Ok(None);
    }
    if approved.is_null() {
        operator.remark(&next(operator, &plan, &approved));
    }
    let form = operator.form;
    let done = ceremony::follow(&operator.client, &plan, |_, progress| {
        if form == Form::Text {
            crate::operator::print(progress);
        }
        Ok(())
    })?;
    operator.remark("\n");
    Ok(Some(done))
}

fn next(operator: &Operator, plan: &ReadPlan, approved: &Value) -> String {
    let name = &plan.digest.to_string()[..8];
    if approved.is_null() {
        let key = if operator.cluster.settings.is_some() { "" } else { " --key FILE" };
        format!("\nIt waits for approval: perennial approve {name}{key}\n")
    } else {
        format!("\nApproved. To see how it goes: perennial ceremony watch {name}\n")
    }
}
