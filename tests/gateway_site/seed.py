"""Who and what there is on a fresh site. Everybody's password is their name and `-test-only`."""

from ansible_base.authentication.models import Authenticator, AuthenticatorUser
from ansible_base.oauth2_provider.models import OAuth2Application
from gateway.models import Organization, User

User.objects.create(username='_system')
for name in ('admin', 'alice', 'bob', '12345', 'auditor', 'erin'):
    User.objects.create_user(
        name,
        password=f'{name}-test-only',
        is_superuser=name == 'admin',
        is_platform_auditor=name == 'auditor',
    )

directory = Authenticator.objects.create(
    name='Corporate Keycloak', enabled=True, type='ansible_base.authentication.authenticator_plugins.keycloak')
AuthenticatorUser.objects.create(user=User.objects.get(username='erin'), provider=directory, uid='erin')

# Two organizations have an application of the same name.
for organization, name in (('Default', 'ci'), ('Engineering', 'ci'), ('Default', 'deploy')):
    OAuth2Application.objects.create(
        name=name,
        organization=Organization.objects.get_or_create(name=organization)[0],
        client_type='confidential',
        authorization_grant_type='password',
        client_secret=f'{name}-test-only',
    )
