"""What the library wants a gateway to bring along."""

from ansible_base.lib.abstract_models import AbstractDABUser, AbstractOrganization, AbstractTeam, CommonModel
from ansible_base.lib.utils.models import user_summary_fields
from django.db import models


class User(AbstractDABUser, CommonModel):
    is_platform_auditor = models.BooleanField(default=False)

    def summary_fields(self):
        return user_summary_fields(self)


class Organization(AbstractOrganization):
    pass


class Team(AbstractTeam):
    pass
