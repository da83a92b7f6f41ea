"""Views of the gateway's own; those of tokens and applications are the library's."""

from ansible_base.lib.serializers.common import CommonModelSerializer
from ansible_base.lib.utils.views.django_app_api import AnsibleBaseDjangoAppApiView
from ansible_base.oauth2_provider.views import DABOAuth2UserViewsetMixin
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from .models import Organization, User


class SuperuserWrites(BasePermission):
    def has_permission(self, request, view):
        return request.method in SAFE_METHODS or request.user.is_superuser


class OrganizationSerializer(CommonModelSerializer):
    class Meta:
        model = Organization
        fields = CommonModelSerializer.Meta.fields + ['name', 'description']


class UserSerializer(CommonModelSerializer):
    class Meta:
        model = User
        fields = CommonModelSerializer.Meta.fields + [
            'username', 'password', 'email', 'is_superuser', 'is_platform_auditor', 'last_login']
        extra_kwargs = {'password': {'write_only': True}}

    def create(self, values):
        user = User(**values)
        user.set_password(values['password'])
        user.save()
        return user


class OrganizationViewSet(ModelViewSet, AnsibleBaseDjangoAppApiView):
    queryset = Organization.objects.all()
    serializer_class = OrganizationSerializer
    permission_classes = api_settings.DEFAULT_PERMISSION_CLASSES + [SuperuserWrites]


class UserViewSet(DABOAuth2UserViewsetMixin, ModelViewSet, AnsibleBaseDjangoAppApiView):
    queryset = User.objects.all()
    serializer_class = UserSerializer
    permission_classes = api_settings.DEFAULT_PERMISSION_CLASSES + [SuperuserWrites]


class MeViewSet(UserViewSet):
    def get_queryset(self):
        return super().get_queryset().filter(pk=self.request.user.pk)


class RootView(APIView):
    permission_classes = [AllowAny]

    def get(self, request):
        names = ('applications', 'me', 'organizations', 'tokens', 'users')
        return Response({name: f'/api/gateway/v1/{name}/' for name in names})
