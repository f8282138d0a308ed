package linear_test

import (
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/annals-go/annals/test/bank"
	"github.com/annals-go/annals/test/linear"
)

func op(client int, call, end int64, c bank.Command, out linear.Output) porcupine.Operation {
	in := linear.Input[bank.Command]{ID: "a", Command: &c}
	if c == nil {
		in.Command = nil
	}
	return porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end}
}

func ok(version uint64, event string) linear.Output {
	return linear.Output{Version: version, Events: []string{event}}
}

// The model must refuse what must not happen, or the tests built on it prove
// nothing.
func TestModel(t *testing.T) {
	t.Parallel()
	opened := op(0, 0, 1, bank.Open{Owner: "Ann"}, ok(1, "opened"))
	hundred := op(0, 2, 3, bank.Deposit{Cents: 100}, ok(2, "deposited"))
	insufficient := linear.Output{Rejected: bank.ErrInsufficient.Error()}
	unknown := linear.Output{Unknown: true}
	tests := map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"one after the other": {[]porcupine.Operation{opened, hundred, op(0, 4, 5, bank.Withdraw{Cents: 60}, ok(3, "withdrawn"))}, true},
		"two withdrawals of which one fits": {[]porcupine.Operation{
			opened, hundred,
			op(1, 4, 7, bank.Withdraw{Cents: 60}, ok(3, "withdrawn")), op(2, 5, 6, bank.Withdraw{Cents: 60}, ok(4, "withdrawn")),
		}, false},
		"one of them rejected": {[]porcupine.Operation{
			opened, hundred,
			op(1, 4, 7, bank.Withdraw{Cents: 60}, ok(3, "withdrawn")), op(2, 5, 6, bank.Withdraw{Cents: 60}, insufficient),
		}, true},
		"a rejection that the state does not justify": {[]porcupine.Operation{
			opened, hundred,
			op(1, 4, 5, bank.Withdraw{Cents: 60}, insufficient),
		}, false},
		"a lost update": {[]porcupine.Operation{
			opened, hundred,
			op(1, 4, 5, bank.Deposit{Cents: 1}, ok(3, "deposited")), op(2, 6, 7, bank.Deposit{Cents: 1}, ok(3, "deposited")),
		}, false},
		"an unknown outcome that had its effect": {[]porcupine.Operation{
			opened, hundred,
			op(1, 4, 5, bank.Withdraw{Cents: 60}, unknown), op(2, 6, 7, bank.Withdraw{Cents: 60}, insufficient),
		}, true},
		"an unknown outcome that had none": {[]porcupine.Operation{
			opened, hundred,
			op(1, 4, 5, bank.Withdraw{Cents: 60}, unknown), op(2, 6, 7, bank.Withdraw{Cents: 60}, ok(3, "withdrawn")),
		}, true},
		"a read of the past": {[]porcupine.Operation{
			opened, hundred,
			op(1, 4, 5, nil, linear.Output{Version: 1, State: linear.Encode(bank.Account{Owner: "Ann"})}),
		}, false},
		"a read of the present": {[]porcupine.Operation{
			opened, hundred,
			op(1, 4, 5, nil, linear.Output{Version: 2, State: linear.Encode(bank.Account{Owner: "Ann", Cents: 100})}),
		}, true},
	}
	for name, test := range tests {
		if got := porcupine.CheckOperations(linear.Model(bank.Accounts), test.history); got != test.want {
			t.Errorf("%s: linearizable %v, want %v", name, got, test.want)
		}
	}
}
