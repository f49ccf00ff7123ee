"""Files of option quotes, as an exchange's recorder leaves them."""

import numpy as np
import pandas as pd

from keeper.domain.units import YEAR
from keeper.pricing.surface import EssviSurface
from tests.keeper.pricing.chains import chain_of, ordinary_surface
from tests.keeper.vault_on_fork import SPOT


def stamp(seconds):
    return pd.to_datetime(seconds, unit="s", utc=True)


def synthetic(path, now, *, vol_ratio=0.95):
    """A chain as an exchange records it, of a surface near what the vault has posted, but for the ratio."""
    ordinary = ordinary_surface()
    theta = ordinary.theta * vol_ratio**2
    rho = np.full_like(theta, -0.25)
    q = chain_of(EssviSurface(ordinary.years, ordinary.forward, theta, rho, 0.65 * np.sqrt(theta)))
    table = pd.DataFrame(
        {
            "time": stamp(now),
            "type": np.where(q.is_call, "call", "put"),
            "strike": q.strike,
            "expiry": stamp(now + np.round(q.years * YEAR)),
            "forward": q.forward,
            "index": float(SPOT),
            "bid": q.bid / q.forward,
            "ask": q.ask / q.forward,
        }
    )
    (table.to_csv if path.suffix == ".csv" else table.to_parquet)(path, index=False)
