import os

# Everything else comes from the environment, as libpq reads it.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
    }
}
INSTALLED_APPS = ["outreach"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "not secret"
USE_TZ = True
