"""Settings of a gateway with the token code of the real one and nothing around it."""

import os

from ansible_base.lib.dynamic_config.settings_logic import get_mergeable_dab_settings

SECRET_KEY = 'gateway-test-only'
ALLOWED_HOSTS = ['127.0.0.1']
USE_TZ = True
TIME_ZONE = 'UTC'
DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'
ROOT_URLCONF = 'gateway.urls'

DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.sqlite3',
        'NAME': os.environ['GATEWAY_DATABASE'],
        # The server's threads and the command write at the same time.
        'OPTIONS': {
            'timeout': 30,
            'transaction_mode': 'IMMEDIATE',
            'init_command': 'PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF',
        },
    }
}

INSTALLED_APPS = [
    'django.contrib.contenttypes',
    'django.contrib.auth',
    'django.contrib.sessions',
    'django.contrib.messages',
    'rest_framework',
    'ansible_base.authentication',
    'ansible_base.rest_filters',
    'ansible_base.rest_pagination',
    'ansible_base.oauth2_provider',
    'gateway',
]
MIDDLEWARE = [
    'django.contrib.sessions.middleware.SessionMiddleware',
    'django.middleware.common.CommonMiddleware',
    'django.middleware.csrf.CsrfViewMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware',
    'crum.CurrentRequestUserMiddleware',
    'django.contrib.messages.middleware.MessageMiddleware',
]
TEMPLATES = [{'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True}]

AUTH_USER_MODEL = 'gateway.User'
ANSIBLE_BASE_ORGANIZATION_MODEL = 'gateway.Organization'
ANSIBLE_BASE_TEAM_MODEL = 'gateway.Team'
SYSTEM_USERNAME = '_system'
AUTHENTICATION_BACKENDS = ['django.contrib.auth.backends.ModelBackend']
# The real one is slow on purpose.
PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']

REST_FRAMEWORK = {
    'DEFAULT_AUTHENTICATION_CLASSES': ['rest_framework.authentication.BasicAuthentication'],
    'DEFAULT_PERMISSION_CLASSES': ['ansible_base.oauth2_provider.permissions.OAuth2ScopePermission'],
}
OAUTH2_PROVIDER = {
    f'{kind}_TOKEN_EXPIRE_SECONDS': int(os.environ[variable])
    for kind in ('ACCESS', 'REFRESH')
    if (variable := f'OAUTH2_PROVIDER__{kind}_TOKEN_EXPIRE_SECONDS') in os.environ
}

# A real gateway logs to standard error too, also while a command succeeds.
LOGGING = {
    'version': 1,
    'disable_existing_loggers': False,
    'handlers': {'stderr': {'class': 'logging.StreamHandler'}},
    'root': {'handlers': ['stderr'], 'level': 'WARNING'},
    'loggers': {'ansible_base': {'level': 'INFO'}},
}

globals().update(get_mergeable_dab_settings(globals()))
