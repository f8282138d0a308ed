package gateway_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// An inner node takes what is its own, and leaves what any node may take.
func TestInnerNodeLeavesTheDoorToOthers(t *testing.T) {
	t.Parallel()
	b := startBank(t, func(c *gateway.Config) {
		c.Inner, c.Node, c.Views = true, "in", totals(0, 0)
		c.Placement = cluster.Single(c.Node, c.Partitions)
	})
	for _, subject := range []string{"bank.cmd.account.ann.open", "bank.qry.totals.ann", "bank.ctl.info", "bank.ctl.projection.ls"} {
		if m, err := b.conn.Request(subject, nil, soon); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("%s: %v and %v, want nobody to respond", subject, m, err)
		}
	}
	partition := store.StreamID{Type: accounts.Type, ID: "ann"}.Partition(b.log.Partitions())
	for _, subject := range []string{fmt.Sprintf("bank.prt.%d.cmd.account.ann.open", partition), "bank.node.in.qry.totals", "bank.node.in.ctl.info"} {
		if m := request(t, b.conn, subject, ""); status(t, m) != 200 {
			t.Errorf("%s: %s", subject, m.Data)
		}
	}
}
