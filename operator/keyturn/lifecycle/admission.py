"""Which namespaces an ApiProduct admits, by label selectors as in Gateway API's allowedRoutes. Pure. Part of `consent.py`."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.api.v1alpha1.apiproduct_spec import AdmittedNamespaces, LabelExpression, NamespaceSelector, SelectorOperator
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.lifecycle.plan import Waiting


def needs_labels(product: ApiProduct) -> bool:
    """Whether a namespace's labels decide."""
    return product.spec.access.namespaces.from_ is AdmittedNamespaces.SELECTOR


def labels_hidden(product: ApiProduct) -> Waiting:
    """The labels decide and may not be read: neither admitted nor refused."""
    message = f"ApiProduct {product.key} admits namespaces by their labels, which the operator may not read here"
    return Waiting(Reason.PRODUCT_UNAVAILABLE, f"{message}: use from: All with grants, or let it watch namespaces")


def admits(product: ApiProduct, *, namespace: str, labels: Mapping[str, str]) -> Waiting | None:
    """Why ApiKeys of a namespace may not refer to the product; None: they may."""
    access = product.spec.access.namespaces
    if access.from_ is AdmittedNamespaces.ALL:
        return None
    if access.selector is None:
        if namespace == product.metadata.namespace:
            return None
        message = f"ApiProduct {product.key} admits ApiKeys of its own namespace only (spec.access.namespaces.from: Same)"
        return Waiting(Reason.PRODUCT_UNAVAILABLE, f"{message}: ask its owner")
    if selects(access.selector, labels):
        return None
    message = f"ApiProduct {product.key} does not admit namespace {namespace}: its labels do not fit spec.access.namespaces.selector"
    return Waiting(Reason.PRODUCT_UNAVAILABLE, f"{message}. Ask its owner")


def selects(selector: NamespaceSelector, labels: Mapping[str, str]) -> bool:
    """Whether all of a selector fits. An empty one fits everything, as in Kubernetes."""
    same = all(labels.get(name) == value for name, value in (selector.match_labels or {}).items())
    return same and all(_fits(expression, labels) for expression in selector.match_expressions or ())


def _fits(expression: LabelExpression, labels: Mapping[str, str]) -> bool:
    """NotIn holds also where the label is absent, as in Kubernetes."""
    value = labels.get(expression.key)
    match expression.operator:
        case SelectorOperator.IN:
            return value is not None and value in (expression.values or ())
        case SelectorOperator.NOT_IN:
            return value is None or value not in (expression.values or ())
        case SelectorOperator.EXISTS:
            return value is not None
        case SelectorOperator.DOES_NOT_EXIST:
            return value is None
