from django.db import models


class Organization(models.Model):
    name = models.CharField(max_length=200)


class SenderAccount(models.Model):
    class Status(models.TextChoices):
        NEW = "new"
        ACTIVE = "active"
        LOGGED_OUT = "logged_out"
        BANNED = "banned"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    external_id = models.CharField(max_length=100, null=True, unique=True)
    full_name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.NEW)


class Campaign(models.Model):
    class Status(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        PAUSED = "paused"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.DRAFT)


class Lead(models.Model):
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    profile_url = models.CharField(max_length=500, null=True)


class CampaignLead(models.Model):
    class Status(models.TextChoices):
        PENDING = "pending"
        ACTIVE = "active"
        PAUSED = "paused"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE)
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE)
    sender = models.ForeignKey(SenderAccount, null=True, on_delete=models.SET_NULL)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PENDING)
    pause_reason = models.CharField(max_length=50, default="", blank=True)
    current_step = models.PositiveIntegerField(default=0)
    next_run_at = models.DateTimeField(null=True)
    is_deleted = models.BooleanField(default=False)
