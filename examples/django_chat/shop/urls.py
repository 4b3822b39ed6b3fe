from django.urls import path

from shop import views

urlpatterns = [
    path("", views.page),
    path("login", views.sign_in),
    path("logout", views.sign_out),
    path("me", views.me),
    path("chat-token", views.chat_token),
    path("orders", views.place_order),
    path("orders/<int:number>/driver", views.assign_driver),
    path("hooks/pushpull", views.hook),
]
