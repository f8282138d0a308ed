package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/micro"

	"github.com/annals-go/annals/gateway"
)

// natsCLI finds the stock command-line client of NATS. What it returns binds
// that to a server.
func natsCLI(t *testing.T) func(s *server.Server) func(args ...string) (stdout, stderr string) {
	t.Helper()
	path := os.Getenv("ANNALS_NATS_CLI")
	if path == "" {
		path = "nats"
	}
	path, err := exec.LookPath(path)
	if err != nil {
		t.Skipf("SKIPPED, NOT PASSED: no nats CLI (%v); install github.com/nats-io/natscli/nats, or name one in ANNALS_NATS_CLI", err)
	}
	home := t.TempDir()
	return func(s *server.Server) func(args ...string) (stdout, stderr string) {
		return func(args ...string) (stdout, stderr string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if args[0] == "req" {
				args = append(args, "--timeout", "30s") // the rest waits so long for whoever else may answer
			}
			c := exec.CommandContext(ctx, path, append([]string{"--server", s.ClientURL(), "--no-context"}, args...)...)
			c.Env = []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home}
			var out, errs bytes.Buffer
			c.Stdout, c.Stderr = &out, &errs
			if err := c.Run(); err != nil {
				t.Fatalf("nats %q: %v\n%s%s", args, err, out.String(), errs.String())
			}
			return out.String(), errs.String()
		}
	}
}

// The gateway must be of use to somebody who has nothing but the nats CLI.
func TestWithTheStockCLI(t *testing.T) {
	t.Parallel()
	cli := natsCLI(t)
	b := startBank(t, func(c *gateway.Config) { c.Views = totals(1, 0) })
	nats := cli(b.server)
	out, _ := nats("req", "--raw", "bank.cmd.account.42.open", `{"owner":"Ann"}`, "-H", "Annals-Command-Id: c-1")
	var answer struct {
		Version uint64
		Events  []string
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Version != 1 || answer.Events[0] != "opened" {
		t.Errorf("open: %v\n%s", err, out)
	}
	out, errs := nats("req", "bank.cmd.account.42.withdraw", `{"cents":7}`)
	if all := out + errs; !strings.Contains(all, "422") || !strings.Contains(all, "insufficient funds") {
		t.Errorf("withdraw: the refusal is not shown:\n%s", all)
	}
	if out, _ = nats("req", "--raw", "bank.qry.totals.k=2F00000", ""); !strings.Contains(out, `"document":{"n":0,"pad":""}`) {
		t.Errorf("query: %s", out)
	}
	if out, _ = nats("req", "--raw", "bank.ctl.aggregate.get", `{"aggregate":"account","id":"42"}`); !strings.Contains(out, `"state":{"owner":"Ann","cents":0}`) {
		t.Errorf("state: %s", out)
	}
	for _, name := range []string{"annals-commands", "annals-query", "annals-control"} {
		eventually(t, "service list shows "+name, func() bool { // what answers within the CLI's time
			out, _ = nats("service", "list", "--json")
			return strings.Contains(out, name)
		})
	}
	var shown struct {
		Info  micro.Info
		Stats micro.Stats
	}
	eventually(t, "the answers are counted", func() bool {
		out, _ = nats("service", "info", "annals-commands", "--json")
		return json.Unmarshal([]byte(out), &shown) == nil && len(shown.Stats.Endpoints) == 2 && shown.Stats.Endpoints[0].NumRequests == 2
	})
	if len(shown.Info.Endpoints) != 2 || shown.Info.Endpoints[0].Subject != "bank.cmd.>" {
		t.Errorf("service info:\n%s", out)
	}
	eventually(t, "service ping is answered", func() bool {
		out, _ = nats("service", "ping", "annals-commands", "--timeout", "1s")
		return strings.Contains(out, "annals-commands")
	})
}

// What the nats CLI sends reaches the owner wherever it is: passed on by
// another gateway, or sent there by the server itself.
func TestTheStockCLIReachesTheOwner(t *testing.T) {
	t.Parallel()
	cli := natsCLI(t)
	for _, mapped := range []bool{false, true} {
		s, r := startServer(t), newRoster("b")
		a := startNode(t, s, r, "a", notHere(t), partitioned)
		b := startNode(t, s, r, "b", &fakeActors{submit: succeed}, partitioned)
		for p := range partitions {
			serve(t, b, p)
		}
		if from, to := gateway.Mapping(namespace, partitions); mapped {
			if err := s.GlobalAccount().AddMapping(from, to); err != nil {
				t.Fatal(err)
			}
		}
		nats := cli(s)
		reached := func() float64 { return b.metric(t, "annals_commands_total", "account") }
		sent := 0.0
		for more := true; more; sent++ { // without the mapping until one came over a
			out, _ := nats("req", "--raw", "bank."+touchIn(int(sent)%partitions), "")
			if !strings.Contains(out, `"version":1`) {
				t.Fatalf("mapped %v: %s", mapped, out)
			}
			eventually(t, "it is counted", func() bool { return reached() == sent+1 })
			more = a.forwarded(t, "command") == 0 && (!mapped || sent < 9)
		}
		if passed := a.forwarded(t, "command") + b.forwarded(t, "command"); mapped && passed != 0 {
			t.Errorf("%v commands were passed on in spite of the mapping", passed)
		}
	}
}
