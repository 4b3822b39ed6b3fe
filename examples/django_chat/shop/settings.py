"""As small as settings get; what is about the chat comes last."""

import os
import tempfile
from pathlib import Path

BASE_DIR = Path(__file__).parent.parent
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only for trying things out")
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "shop.urls"
STATIC_URL = "static/"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SHOP_DATABASE", BASE_DIR / "shop.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},  # writers wait for each other
        # Tests in a file, too: a connection for each thread, where one in memory is shared with the live server's.
        "TEST": {"NAME": Path(tempfile.gettempdir()) / f"shop-test-{os.getpid()}.sqlite3"},
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "shop.apps.ShopConfig",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

PUSHPULL_URL = os.environ.get("PUSHPULL_URL", "http://127.0.0.1:8080")
PUSHPULL_PUBLIC_URL = os.environ.get("PUSHPULL_PUBLIC_URL", PUSHPULL_URL)  # where browsers find it
PUSHPULL_API_KEY = os.environ.get("PUSHPULL_API_KEY", "")
PUSHPULL_JWT_SECRET = os.environ.get("PUSHPULL_JWT_SECRET", "")
PUSHPULL_WEBHOOK_SECRET = os.environ.get("PUSHPULL_WEBHOOK_SECRET", "")
