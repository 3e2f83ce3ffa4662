//! The removal of the token that nobody asked for.

use super::plugin::{self, Mounted};
use super::{account, declares, declaring_suffices};
use crate::control::{Container, Draft, Params, PodSpec, Supplying};

/// Removes what the plugin mounted by itself, and keeps it from mounting it again. A field that is true asks for it.
pub(super) fn fill(supplying: &Supplying<'_>, params: &Params, draft: &mut Draft<'_>) {
    let account = account(draft.spec).to_owned();
    let suffices = declaring_suffices(params);
    let declared = supplying.declaration.is_some_and(|declaration| declares(declaration, &account));
    if draft.spec.automount_service_account_token == Some(true) || (suffices && declared) {
        return;
    }
    let mounts = !matches!(plugin::mounted(draft.spec, draft.is_template()), Mounted::No);
    let removed = remove_volumes(draft);
    if draft.spec.automount_service_account_token.is_none() {
        draft.add("/spec/automountServiceAccountToken", false);
        draft.spec.automount_service_account_token = Some(false);
    }
    if draft.is_template() && (mounts || removed) {
        let token = "supply removes the API token kube-api-access-* from its Pods";
        draft.notice(if suffices {
            format!("{token}: spec.apiAccess may declare ServiceAccount {account}")
        } else {
            format!("{token}; automountServiceAccountToken: false says the same")
        });
    }
}

/// Removes the plugin's volumes with their mounts. Places behind a removed one shift: the last goes first.
fn remove_volumes(draft: &mut Draft<'_>) -> bool {
    let its = draft.spec.volumes.take_out(plugin::is_its_volume);
    for (position, volume) in its.iter().rev() {
        for list in ["initContainers", "containers"] {
            remove_mounts(draft, list, &volume.name);
        }
        draft.remove(format!("/spec/volumes/{position}"));
    }
    !its.is_empty()
}

fn remove_mounts(draft: &mut Draft<'_>, list: &str, volume: &str) {
    let mut removed = Vec::new();
    for (container, Container { volume_mounts, .. }) in containers(draft.spec, list).iter_mut().enumerate() {
        let its = volume_mounts.take_out(|mount| mount.name == volume);
        let path = |position| format!("/spec/{list}/{container}/volumeMounts/{position}");
        removed.extend(its.iter().rev().map(|(position, _)| path(position)));
    }
    removed.into_iter().for_each(|path| draft.remove(path));
}

fn containers<'s>(spec: &'s mut PodSpec, list: &str) -> &'s mut [Container] {
    match list {
        "initContainers" => spec.init_containers.as_deref_mut().unwrap_or_default(),
        _ => &mut spec.containers,
    }
}
