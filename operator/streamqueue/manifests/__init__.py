"""A queue's Kubernetes objects, from its spec. Pure: dicts in, dicts out."""

from streamqueue.manifests.deployment import TEMPLATE_VERSION, deployment
from streamqueue.manifests.fingerprints import Fingerprints, live_fingerprints
from streamqueue.manifests.grace import grace_period
from streamqueue.manifests.image import OperatorImage
from streamqueue.manifests.labels import Owner
from streamqueue.manifests.reclaim import ReclaimPods, cron_job, cron_job_name
from streamqueue.manifests.settle import settle_template
from streamqueue.manifests.support import disruption_budget, service_account

__all__ = [
    "TEMPLATE_VERSION",
    "Fingerprints",
    "OperatorImage",
    "Owner",
    "ReclaimPods",
    "cron_job",
    "cron_job_name",
    "deployment",
    "disruption_budget",
    "grace_period",
    "live_fingerprints",
    "service_account",
    "settle_template",
]
