"""Payments by Razorpay: what can be bought, orders and subscriptions, the events that tell of them, refunds.

Amounts are whole paise, in INR. What Razorpay says, by its webhook, in its answers or when it is asked, is stored as an
event first and then applied (`events`, `applying`); nothing else moves the state of a payment, a refund or a
subscription. Applying is a join: of two things that were told of the same one the later wins, whichever came first, so
that events may come twice and in any order. Credits follow from that state (`settling`).
"""
