"""Where everything lies: as on a real gateway."""

from ansible_base.lib.dynamic_config.dynamic_urls import api_version_urls, root_urls
from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import views

router = SimpleRouter()
router.register('organizations', views.OrganizationViewSet, basename='organization')
router.register('users', views.UserViewSet, basename='user')
router.register('me', views.MeViewSet, basename='me')

urlpatterns = [
    path('api/gateway/v1/', views.RootView.as_view()),
    path('api/gateway/v1/', include(router.urls)),
    path('api/gateway/v1/', include(api_version_urls)),
    path('', include(root_urls)),
]
