# pragma version 0.4.3
"""
@title leaky_bucket
@notice A budget that is spent at once and refills linearly. Levels are in the caller's unit.
"""


# @param spent    What of the capacity was spent at `updated_at`.
struct Bucket:
    spent: uint256
    updated_at: uint256


@internal
@view
def _available(bucket: Bucket, capacity: uint256, refill_per_day: uint256) -> uint256:
    elapsed: uint256 = block.timestamp - bucket.updated_at
    refilled: uint256 = refill_per_day * elapsed // 86400
    spent: uint256 = bucket.spent - min(bucket.spent, refilled)
    return capacity - min(capacity, spent)


@internal
@view
def _spend(bucket: Bucket, amount: uint256, capacity: uint256, refill_per_day: uint256) -> Bucket:
    """
    @notice The bucket after spending `amount`.
    @custom:reverts When less than `amount` is available.
    """
    available: uint256 = self._available(bucket, capacity, refill_per_day)
    assert amount <= available, "budget: exhausted"
    return Bucket(spent=capacity - available + amount, updated_at=block.timestamp)
