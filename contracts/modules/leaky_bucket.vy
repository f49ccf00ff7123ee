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
    return capacity - min(capacity, self._spent(bucket, refill_per_day))


@internal
@view
def _spend(bucket: Bucket, amount: uint256, capacity: uint256, refill_per_day: uint256) -> Bucket:
    """
    @notice The bucket after spending `amount`. What was spent beyond a capacity that has become smaller is not forgotten.
    @custom:reverts When less than `amount` is available.
    """
    spent: uint256 = self._spent(bucket, refill_per_day)
    assert amount <= capacity - min(capacity, spent), "budget: exhausted"
    return Bucket(spent=spent + amount, updated_at=block.timestamp)


@internal
@view
def _spent(bucket: Bucket, refill_per_day: uint256) -> uint256:
    refilled: uint256 = refill_per_day * (block.timestamp - bucket.updated_at) // 86400
    return bucket.spent - min(bucket.spent, refilled)
