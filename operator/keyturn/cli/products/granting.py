"""Writes a grant into an ApiProduct, or prints it for Git: the doing half of `keyturn approve`. What is granted decides `approval.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.base.errors import Conflict
from keyturn.base.names import Key
from keyturn.cli.apikeys.apikey_view import ApiKeyView, decode_apikey
from keyturn.cli.apikeys.gitops_traces import keeper_of
from keyturn.cli.apikeys.waiting import wait_for
from keyturn.cli.deps import Deps
from keyturn.cli.documents import render
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.products.apiproduct_view import decode_grant, product_named
from keyturn.cli.products.approval import Approval, ApprovalGoal, CannotApproveError, Words, approval_for, grant_text
from keyturn.cluster import apikeys, apiproducts
from keyturn.cluster.api_errors import Forbidden, NotFound
from keyturn.cluster.client import METADATA_ONLY, Client, Json
from keyturn.cluster.raw import mapping_of, objects_of, text_of, texts_of, uid_of
from keyturn.cluster.resource_path import path_part

if TYPE_CHECKING:
    from keyturn.cli.products.approve_command import Options

FIELD_MANAGER: Final = "keyturn-approve"
_ATTEMPTS: Final = 20
"""Of approvers at the same moment one is through in each round, and the operator counts keys beside them."""


async def grant(options: Options, client: Client, deps: Deps, *, apikey: Key) -> int:
    """Do what the options say. Answers the exit code."""
    asked = await _asked(client, apikey, options, deps)
    words = Words(apikey, options.plan, options.scopes)
    task = _Task(client, deps, options, words, _product_of(apikey, asked, options), asked, await _labels(client, apikey.namespace))
    for left in reversed(range(_ATTEMPTS)):
        try:
            return await task.attempt()
        except Conflict:
            if not left:
                raise
    raise AssertionError("the last attempt answers or raises")


@dataclass(frozen=True, slots=True)
class _Task:
    """One approval under way."""

    client: Client
    deps: Deps
    options: Options
    words: Words
    product: Key
    asked: ApiKeyView | None
    labels: Mapping[str, str] | None

    async def attempt(self) -> int:
        """Read, decide, write. Raises Conflict where somebody wrote to the product in between."""
        raw = await self.client.get(apiproducts.object_path(self.product))
        approval, keeper = self._decided(raw), keeper_of(raw)
        if self.options.form:
            self._print_for_git(approval, self.options.form)
            return ExitCode.FINE
        if keeper and not approval.changes_nothing and not self.options.force:
            self._print_for_git(approval, "yaml")
            what = f"{keeper} keeps ApiProduct {self.product} as Git has it, so nothing was written: commit the grant there"
            self.deps.console.complain(f"{what} (--force writes it all the same)")
            return ExitCode.FAILED
        if not approval.changes_nothing:
            await self._write(raw, approval)
        self._tell(approval)
        return await self._wait(approval) if self.options.wait else ExitCode.FINE

    def _decided(self, raw: Json) -> Approval:
        _, product = apiproducts.decode_apiproduct(raw)
        if not isinstance(product, ApiProduct):
            raise CannotApproveError(f"ApiProduct {self.product} cannot be used: {product.message}")
        grants = objects_of(mapping_of(mapping_of(raw, "spec"), "access"), "grants")
        return approval_for(self.words, product, grants, asked=self.asked, labels=self.labels)

    async def _write(self, raw: Json, approval: Approval) -> None:
        """All grants, and only if nobody wrote since they were read: no other approver's is lost."""
        metadata = {"uid": uid_of(raw), "resourceVersion": text_of(mapping_of(raw, "metadata"), "resourceVersion")}
        patch = {"metadata": metadata, "spec": {"access": {"grants": list(approval.all_grants)}}}
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if self.options.dry_run else {})}
        await self.client.patch_merge(apiproducts.object_path(self.product), patch, query=query)

    def _tell(self, approval: Approval) -> None:
        console, given, old = self.deps.console, decode_grant(approval.grant), approval.replaces
        done = "was approved before" if approval.changes_nothing else "approved"
        dry = " (server dry run)" if self.options.dry_run else ""
        console.data(f"apikey/{self.options.name} {done}: {grant_text(given.plan, given.scopes)} (ApiProduct {self.product}){dry}")
        if old is not None and not approval.changes_nothing:
            console.say(f"It replaces: {grant_text(old.plan, old.scopes)}")
        self._warn(approval)

    def _print_for_git(self, approval: Approval, form: str) -> None:
        console, old = self.deps.console, approval.replaces
        console.data(render([approval.grant], form))
        instead = f", in the place of: {grant_text(old.plan, old.scopes)}" if old is not None else ""
        console.say(f"Goes into spec.access.grants of ApiProduct {self.product}{instead}")
        self._warn(approval)

    def _warn(self, approval: Approval) -> None:
        for note in approval.notes:
            self.deps.console.warn(note)

    async def _wait(self, approval: Approval) -> int:
        where = self.words.apikey
        goal = ApprovalGoal(where.namespace, where.name, plan=decode_grant(approval.grant).plan, scopes=approval.scopes)
        return await wait_for([goal], self.client, self.deps, timeout=self.options.timeout)


async def _asked(client: Client, apikey: Key, options: Options, deps: Deps) -> ApiKeyView | None:
    """The ApiKey. Who names the product may approve before there is one, and without a right to read it."""
    try:
        return decode_apikey(await client.get(apikeys.object_path(apikey.namespace, apikey.name)))
    except (NotFound, Forbidden) as error:
        if options.product is None:
            raise
        why = "there is none yet" if isinstance(error, NotFound) else "your role does not let you read it"
        deps.console.say(f"ApiKey {apikey} was not seen: {why}")
        return None


def _product_of(apikey: Key, asked: ApiKeyView | None, options: Options) -> Key:
    if options.product is not None:
        return product_named(options.product, namespace=apikey.namespace)
    if asked is None or not asked.product:
        what = f"ApiKey {apikey} refers to no product, so there is nothing to approve"
        raise CannotApproveError(f"{what}: create it anew with keyturn create --product NAMESPACE/NAME")
    return Key(asked.product_namespace, asked.product)


async def _labels(client: Client, namespace: str) -> Mapping[str, str] | None:
    """The namespace's labels, for a warning; None: not seen."""
    try:
        answer = await client.get(f"/api/v1/namespaces/{path_part(namespace)}", accept=METADATA_ONLY)
    except (NotFound, Forbidden):
        return None
    return texts_of(mapping_of(answer, "metadata"), "labels")
