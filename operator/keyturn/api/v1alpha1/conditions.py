"""The words of ApiKey conditions. Users and alerts match on them: renaming one breaks people.

`docs/reference/conditions.md` is made from this file. The line under a reason begins with the conditions it appears on,
then says what is the case, then what to do, if anything.
"""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    """What a condition speaks of. kstatus and Argo CD read the first three: only Stalled counts as a failure."""

    READY = "Ready"
    """The Secret holds a key that is accepted. False alone means in progress, not broken."""
    RECONCILING = "Reconciling"
    """Keyturn is at work, or waits for something that comes by itself. Absent unless True."""
    STALLED = "Stalled"
    """Nothing changes until a person acts; the message says how. Absent unless True."""
    PAUSED = "Paused"
    """All work on this ApiKey is stopped by annotation; the others say what they said before. Absent unless True."""
    APPROVED = "Approved"
    """The API owner granted what the spec asks for. Where False, the power granted before stays in force."""
    DISABLED = "Disabled"
    """The key is refused by intent: spec.disabled, lost access, or expiry."""
    PREVIOUS_VERSION_ACTIVE = "PreviousVersionActive"
    """The replaced key is still accepted beside the new one."""
    ROLLOUT_COMPLETE = "RolloutComplete"
    """Every workload that uses the Secret runs with the active version."""
    COMPLETE = "Complete"
    """Of an ApiKeyRevocation: every key version that it means is dead, and every live verifier knows."""


class Reason(StrEnum):
    """Why a condition is as it is."""

    # Steady life
    ISSUING = "Issuing"
    """Ready, Reconciling: the first key is being made. Wait; it takes seconds."""
    ISSUED = "Issued"
    """Ready: the Secret holds a valid key. All is well."""
    IMPORTED = "Imported"
    """Ready: the newest key in spec.digests is accepted. All is well."""
    ENABLED = "Enabled"
    """Disabled: False; the key is accepted."""
    DISABLED = "Disabled"
    """Ready, Disabled: spec.disabled is true, so no version is accepted. Remove it to accept the key again."""
    EXPIRED = "Expired"
    """Ready, Stalled, Disabled: spec.expirationTime has passed and every version ended. Set a later one, or delete the ApiKey."""

    PAUSED = "Paused"
    """Paused, Ready: the annotation keyturn.dev/paused stops all work on this ApiKey. Remove it to go on."""

    # Rotation
    PROPAGATION_PENDING = "PropagationPending"
    """Ready, Reconciling: verifiers have not confirmed the new version yet, so it is not delivered. If it lasts, the message names them:
    look at their pods."""
    SETTLING = "Settling"
    """RolloutComplete, Reconciling: the Secret has just changed; workloads restart in a moment, when nodes no longer serve the old one."""
    PREVIOUS_VERSION_RETIRING = "PreviousVersionRetiring"
    """PreviousVersionActive: the replaced key is accepted until its consumers have moved, at most until notAfter."""
    GRACE_PERIOD = "GracePeriod"
    """PreviousVersionActive: the replaced key lives on for gracePeriod. Wait."""
    OLD_KEY_IN_USE = "OldKeyInUse"
    """PreviousVersionActive: somebody used the replaced key within quietPeriod; it is kept until nobody does, at most until notAfter. The
    message says when it was last used. Find its user and hand over the new key."""
    USE_UNKNOWN = "UseUnknown"
    """PreviousVersionActive: a verifier has not said whether the replaced key is still used, so the key is kept, at most until notAfter.
    The message names the verifier; look at its pod if it lasts."""
    NO_PREVIOUS_VERSION = "NoPreviousVersion"
    """PreviousVersionActive: False; only one version is accepted."""
    ROTATION_DEFERRED = "RotationDeferred"
    """Reconciling: a rotation is due and waits. The message says what for."""
    WAITING_FOR_WINDOW = "WaitingForWindow"
    """Reconciling: a rotation is due and waits for the next of rotation.windows."""
    WAITING_FOR_PACER = "WaitingForPacer"
    """Reconciling: many rotations are due at once and this one waits its turn. See --rotation-rate if it lasts."""
    WAITING_FOR_SPACING = "WaitingForSpacing"
    """Reconciling: the key was rotated moments ago; the next rotation follows after --minimum-rotation-spacing."""
    CLOCK_SKEWED = "ClockSkewed"
    """Reconciling: the clocks of operator and API server differ by over 5 s, so nothing is done by time. Synchronise them."""

    # Rollout
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"
    """RolloutComplete, PreviousVersionActive: workloads are restarting, or their old pods still terminate. Wait."""
    ROLLOUT_STALLED = "RolloutStalled"
    """RolloutComplete, PreviousVersionActive: a workload has not finished within stallTimeout; the replaced key stays valid until notAfter.
    Look at it with kubectl rollout status."""
    WORKLOAD_REFUSED = "WorkloadRefused"
    """Stalled: the API server refuses the annotation on a workload's pod template, so that one does not restart; the others do. The
    message names it and quotes the refusal. Correct the workload."""
    ROLLOUT_DISABLED = "RolloutDisabled"
    """RolloutComplete: rollout.policy is Disabled, so workloads must take the new key by themselves."""
    ROLLOUT_COMPLETE = "RolloutComplete"
    """RolloutComplete: every workload runs with the active version."""
    NO_WORKLOADS = "NoWorkloads"
    """RolloutComplete: nothing in the namespace references the Secret."""

    # Authority
    NOT_REQUIRED = "NotRequired"
    """Approved: True; without productRef there is nothing to approve."""
    GRANTED = "Granted"
    """Approved: True; the product's owner granted what the key has."""
    APPROVED_BY_PRODUCT = "ApprovedByProduct"
    """Approved: True; the product lets every ApiKey that it admits have what the plan offers."""
    PENDING_APPROVAL = "PendingApproval"
    """Ready, Reconciling, Approved: the product's owner has not granted anything yet, so there is no key. Its owner runs keyturn approve,
    or adds a grant in Git."""
    PENDING_WIDENING = "PendingWidening"
    """Approved: Unknown; the spec asks for more than was granted. The key works with what it has; the message says what waits."""
    PRODUCT_UNAVAILABLE = "ProductUnavailable"
    """Approved, Ready, Stalled: the ApiProduct cannot be used now: it does not exist, cannot be read or does not admit this namespace."""
    ACCESS_LOST = "AccessLost"
    """Approved, Ready, Disabled, Stalled: the product does not let the key have anything any more: its grant, its plan, the product
    itself or the namespace's admission is gone. After accessLostDelay the key is refused; it works again once that is mended."""
    PLAN_UNKNOWN = "PlanUnknown"
    """Approved, Ready, Stalled: the product has no such plan. The message names those that it has."""
    SCOPE_NOT_IN_PLAN = "ScopeNotInPlan"
    """Approved, Ready, Stalled: the plan does not offer a scope that spec.scopes asks for. The message names what it offers."""
    TOO_MANY_KEYS = "TooManyKeys"
    """Approved, Ready, Stalled: the product's maxKeysPerNamespace is reached. Delete another ApiKey of this namespace, or ask the owner."""

    AUDIENCE_TAKEN = "AudienceTaken"
    """Approved, Ready, Stalled: an older ApiProduct, which is named, has the product's audience. Its Ready and Stalled say so too.
    Refer to the older one, or create the other anew with an audience of its own."""

    ACCEPTS_KEYS = "AcceptsKeys"
    """Ready: of an ApiProduct; ApiKeys may refer to it. All is well."""

    # Of an ApiKeyRevocation
    REVOKING = "Revoking"
    """Complete, Reconciling: keys that are meant are still accepted. They end within moments; if it lasts, look at the operator's log."""
    REPLACING = "Replacing"
    """Complete, Reconciling: the keys are being replaced, and end once their consumers have moved, at most at the time in the message."""
    VERIFIERS_BEHIND = "VerifiersBehind"
    """Complete, Reconciling: the keys are dead, and a verifier has not confirmed that it refuses them. Look at the pods in the message."""
    REVOKED = "Revoked"
    """Complete: every key that is meant is dead, and every live verifier refuses it. For good."""
    NOTHING_TO_REVOKE = "NothingToRevoke"
    """Complete: no living key is meant. If that is a surprise, compare the key IDs: status.unknownKeyIDs are in no record."""

    # The spec cannot be done
    INVALID_SPEC = "InvalidSpec"
    """Ready, Stalled: the spec is not valid, though it was stored: it is older than a rule. The message names the field."""
    INVALID_SCHEDULE = "InvalidSchedule"
    """Ready, Stalled: a cron expression in rotation cannot be read or never comes. Write five fields, for example 0 3 1 * *."""
    UNKNOWN_TIME_ZONE = "UnknownTimeZone"
    """Ready, Stalled: a timeZone in rotation is no IANA name. Write one, for example Europe/Berlin."""
    INTERVAL_TOO_SHORT = "IntervalTooShort"
    """Ready, Stalled: rotation.interval or the schedule's gaps are below the platform's --minimum-interval. Rotate less often."""
    GRACE_PERIOD_TOO_SHORT = "GracePeriodTooShort"
    """Ready, Stalled: rotation.gracePeriod is below the platform's --minimum-grace-period. Write a longer one."""
    GRACE_PERIOD_TOO_LONG = "GracePeriodTooLong"
    """Ready, Stalled: gracePeriod is longer than the overlapLimit in force, which may be inherited. Shorten it, or set overlapLimit."""
    TEMPLATE_INVALID = "TemplateInvalid"
    """Ready, Stalled: the Secret cannot be rendered from secretTemplate. The message names the entry."""
    MIN_VERSION_TOO_HIGH = "MinVersionTooHigh"
    """Ready, Stalled: minVersion is beyond the next version. Versions come one by one: write at most status.activeVersion plus one."""

    # Keys for a person
    AWAITING_RECEIPT = "AwaitingReceipt"
    """Ready, Reconciling: status.sealed holds a key, encrypted, and nobody has said yet that they have it. Decrypt it, and set the
    annotation that the message names."""
    NOT_RECEIVED = "NotReceived"
    """Ready, Stalled: nobody took the key in time, so it was revoked. Ask for another one with keyturn rotate, when somebody is there."""
    RECIPIENT_INVALID = "RecipientInvalid"
    """Ready, Stalled: spec.sealed.recipient has a wrong checksum, so nobody could decrypt the key. Copy it again from age-keygen."""

    # Keys that were made elsewhere
    DIGEST_ELSEWHERE = "DigestElsewhere"
    """Ready, Stalled: a key in spec.digests, or its key ID, belongs to another ApiKey, the first to list it, which the message names within
    the namespace. It cannot be moved: taken off that list it ends for good. Make another, and write its digest in the place of this one."""
    DIGEST_ENDED = "DigestEnded"
    """Ready, Stalled: the newest key in spec.digests has ended, here or in another ApiKey, and what ended never comes back, also where the
    ApiKey was deleted and created again. Make another, and append its digest."""
    DIGEST_OUT_OF_ORDER = "DigestOutOfOrder"
    """Stalled: a new key stands in spec.digests before one that is in force. Write the newest last."""
    TOO_MANY_DIGESTS = "TooManyDigests"
    """Ready, Stalled: more than a thousand keys ended under this name, and none may be forgotten. List the next one in a new ApiKey."""

    # The Secret
    SECRET_CONFLICT = "SecretConflict"
    """Ready, Stalled: a Secret of this name exists that Keyturn did not make, or that is immutable. It is never written to. Remove it, or
    create an ApiKey with another secretName."""
    TOO_MANY_REPAIRS = "TooManyRepairs"
    """Ready, Stalled: the Secret was lost or changed more than three times within an hour. Find out who does it; Keyturn tries again
    after the hour."""

    SECRET_CONTESTED = "SecretContested"
    """Stalled: something keeps changing the Secret beside the key, and Keyturn puts it back, at first at once, then at most once a minute.
    The key works. Find out who does it; five minutes after the last edit all is well again."""

    # The record and the operator
    RECORD_DAMAGED = "RecordDamaged"
    """Ready, Stalled: the signature of the verifier record does not fit its bytes: somebody wrote it. See the runbook."""
    RECORD_TOO_NEW = "RecordTooNew"
    """Ready, Stalled: the verifier record was written by a newer Keyturn. Upgrade the operator again."""
    RESTORE_DETECTED = "RestoreDetected"
    """Ready: True; also an Event. The verifier record was older than what verifiers or the operator know: a backup was restored, or
    somebody put it back. What they know is in force again. Ready says so until one version is left and its consumers have it; see the
    runbook."""
    UNKNOWN_SIGNER = "UnknownSigner"
    """Ready, Stalled: the verifier record was signed with a key that this installation does not have. Restore the root Secret."""
    ROOT_SECRET_MISSING = "RootSecretMissing"
    """Ready, Stalled: the root Secret is gone while records exist. Restore it from a backup; it is never made again by itself."""
    PERMISSION_MISSING = "PermissionMissing"
    """Ready, Stalled, RolloutComplete, PreviousVersionActive: the API server forbids Keyturn to read or write something. The message
    names verb and resource; see the roles in deploy/. Ready is Unknown where the Secret cannot be read. Tried again every half minute."""
    ADMISSION_DENIED = "AdmissionDenied"
    """Ready, Stalled: an admission policy, an admission webhook or a quota of the cluster refuses what Keyturn must write. The message
    names it."""
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    """Ready: the namespace is being deleted; nothing new is made in it."""
