"""The budget alarm of a stage."""

from aws_cdk import aws_budgets as budgets
from constructs import Construct

from infra.options import Budget

_ALARMS = (("ACTUAL", 80), ("FORECASTED", 100))
"""What is compared with the budget, and at how many percent somebody hears of it."""


def budget(scope: Construct, name: str, limit: Budget, email: str) -> None:
    """Have AWS write to an address when the account's costs of a month come near a limit."""
    told = budgets.CfnBudget.SubscriberProperty(address=email, subscription_type="EMAIL")
    notifications = [
        budgets.CfnBudget.NotificationWithSubscribersProperty(
            notification=budgets.CfnBudget.NotificationProperty(
                comparison_operator="GREATER_THAN",
                notification_type=kind,
                threshold=percent,
                threshold_type="PERCENTAGE",
            ),
            subscribers=[told],
        )
        for kind, percent in _ALARMS
    ]
    budgets.CfnBudget(
        scope,
        "Budget",
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_name=name,
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=limit.monthly_usd, unit="USD"),
        ),
        notifications_with_subscribers=notifications,
    )
