package bank_test

import (
	"testing"

	"github.com/annals-go/annals/actor/actortest"
	"github.com/annals-go/annals/test/bank"
)

func TestAccount(t *testing.T) {
	t.Parallel()
	given := func() *actortest.Specification[bank.Account, bank.Command, bank.Event] {
		return actortest.For(t, bank.Accounts)
	}
	given().When(bank.Deposit{Cents: 1}).ThenError(bank.ErrNotOpen)
	given().When(bank.Open{Owner: "Ann"}).Then(bank.Opened{Owner: "Ann"}).
		When(bank.Open{Owner: "Bea"}).ThenError(bank.ErrAlreadyOpen)
	given().Given(bank.Opened{Owner: "Ann"}, bank.Deposited{Cents: 10}).
		When(bank.Withdraw{Cents: 11}).ThenError(bank.ErrInsufficient).
		When(bank.Withdraw{Cents: 10}).Then(bank.Withdrawn{Cents: 10}).
		ThenState(bank.Account{Owner: "Ann"})
}
