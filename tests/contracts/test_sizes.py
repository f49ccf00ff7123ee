"""Every deployable fits on chain."""

import boa
import pytest

EIP_170 = 24_576  # bytes
NAMES = (
    "Vault",
    "CircuitBreaker",
    "Hedger",
    "BuybackAuction",
    "Governance",
    "OptionBook",
    "ClearingHouse",
    "OptionToken",
    "RedemptionQueue",
    "PriceOracle",
    "VolOracle",
    "RiskEngine",
    "OptionPricer",
    "UniswapV3Spot",
    "AaveV3Short",
)


@pytest.mark.parametrize("name", NAMES)
def test_runtime_with_immutables_fits(deployed, name):
    assert 0 < len(boa.env.get_code(deployed.contracts[name].address)) < EIP_170


def test_no_contract_is_forgotten(deployed):
    assert set(deployed.contracts) == set(NAMES)
