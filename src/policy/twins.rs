//! Notices when two stores of one process count one workspace.
//!
//! It is an easy mistake: a policy built anew for every request has a store of its
//! own, and its limits hold for that request alone.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use smol_str::SmolStr;

use crate::{store::MemoryStore, telemetry};

/// The stores in use. Those that are gone are dropped when the next one is noted.
static IN_USE: Mutex<Vec<(SmolStr, Weak<MemoryStore>)>> = Mutex::new(Vec::new());

/// Notes which store counts a workspace; warns if another one does, too.
pub(super) fn note(workspace: &SmolStr, store: &Arc<MemoryStore>) {
    let has_twin = {
        let mut stores = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        stores.retain(|(_, store)| store.strong_count() > 0);
        let same = |known: &Weak<MemoryStore>| std::ptr::eq(known.as_ptr(), Arc::as_ptr(store));
        let mut of_workspace = stores.iter().filter(|(name, _)| name == workspace).peekable();
        let is_new = of_workspace.peek().is_none();
        let is_known = of_workspace.clone().any(|(_, known)| same(known));
        if !is_known {
            stores.push((workspace.clone(), Arc::downgrade(store)));
        }
        !is_new && !is_known
    };
    if has_twin {
        telemetry::twins(workspace);
    }
}
