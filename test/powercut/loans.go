//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/test/fold"
	"github.com/annals-go/annals/test/harness"
)

// loans is the loans example, run as its users run it.
type loans struct {
	program string
	work    string
	clients int
	url     string
	cuts    int // made on this file system or an earlier one
	random  *rand.Rand
	journal *journal
}

// newLoans builds the example unless it is given.
func newLoans(ctx context.Context, o options, work string, tell io.Writer) (*loans, error) {
	l := &loans{program: o.loans, work: work, clients: o.clients, random: rand.New(rand.NewPCG(o.Seed, 1))}
	l.forget()
	if l.program != "" {
		return l, nil
	}
	_, _ = fmt.Fprintln(tell, "building the loans example")
	l.program = filepath.Join(work, "loans")
	return l, command(ctx, "go", "build", "-o", l.program, "github.com/annals-go/annals/cmd/loans")
}

func (l *loans) forget() { l.journal = newJournal() }

func (l *loans) rebuilt(ctx context.Context, part float64) error {
	nc, err := nats.Connect(l.url, nats.NoReconnect(), nats.Name("powercut"), nats.ErrorHandler(nothing))
	if err != nil {
		return err
	}
	defer nc.Close()
	return client{nc}.rebuilt(ctx, part)
}

func (l *loans) darken()           { l.journal.darken() }
func (l *loans) acknowledged() int { return l.journal.acknowledged() }

// readyLimit is how long a start may take, recovery included.
const readyLimit = time.Minute

func (l *loans) start(ctx context.Context, dir string, sync embedded.Sync) (*harness.Process, error) {
	ports, err := embedded.FreePorts(2)
	if err != nil {
		return nil, err
	}
	natsAt, httpAt := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	l.url = "nats://" + natsAt
	p, err := harness.Start(filepath.Join(l.work, "loans.log"), l.program,
		"dev", "--headless", "--data", dir, "--nats", natsAt, "--http", httpAt, "--sync", string(sync))
	if err != nil {
		return nil, err
	}
	if err := p.Ready(ctx, readyLimit, func() error { return isReady(ctx, "http://"+httpAt+"/readyz") }); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

func isReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s", url, response.Status)
	}
	_ = response.Body.Close()
	return err
}

func (l *loans) load(ctx, sending context.Context, c cut, began func()) error {
	l.cuts++
	w := &load{url: l.url, name: fmt.Sprintf("cut%d", l.cuts), seed: c.Seed, clients: l.clients, journal: l.journal}
	return w.run(ctx, sending, began)
}

// dropViews removes the buckets of the views, as if a new version of each were
// asked for.
func (l *loans) dropViews(ctx context.Context, dir string) error {
	return withServer(dir, func(nc *nats.Conn) error {
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		buckets, err := viewBuckets(ctx, nc)
		for _, b := range buckets {
			err = errors.Join(err, js.DeleteKeyValue(ctx, b))
		}
		return err
	})
}

func (l *loans) lost(ctx context.Context, nc *nats.Conn) (int, error) {
	b, err := readBook(ctx, nc)
	return countLost(b, l.journal), err
}

// check looks at what was left before anything can hide it: the log, then
// what rests on it, then the views as they are served once they have caught
// up, then what old commands are answered.
func (l *loans) check(ctx context.Context) (findings, error) {
	nc, err := nats.Connect(l.url, nats.NoReconnect(), nats.Name("powercut check"))
	if err != nil {
		return findings{}, err
	}
	defer nc.Close()
	c := client{nc}
	b, err := readBook(ctx, nc)
	if err != nil {
		return findings{}, err
	}
	found := checkLog(b, l.journal)
	for _, check := range []func(context.Context, client, *book) (findings, error){l.checkResting, checkViews, l.checkAgain} {
		more, err := check(ctx, c, b)
		if err != nil {
			return found, fmt.Errorf("%w; found so far: %v", err, found.notes)
		}
		found.merge(more)
	}
	l.journal.settle(b)
	return found, nil
}

func (l *loans) checkResting(ctx context.Context, c client, b *book) (findings, error) {
	standings, err := readStandings(ctx, c.conn)
	if err != nil {
		return findings{}, err
	}
	told, err := c.checkpoints(ctx)
	if err != nil {
		return findings{}, err
	}
	found := checkStandings(b, append(standings, told...))
	snapshots, err := readSnapshots(ctx, c.conn)
	for _, s := range snapshots {
		found.merge(checkSnapshot(b, s))
	}
	return found, err
}

func checkViews(ctx context.Context, c client, b *book) (findings, error) {
	var found findings
	all := fold.Loans()
	if err := fold.All(b.commits, all...); err != nil {
		return found, err
	}
	for _, f := range all {
		want, err := f.Documents()
		if err != nil {
			return found, err
		}
		got, err := c.view(ctx, f.Name(), b.tip)
		if ctx.Err() != nil {
			return found, ctx.Err()
		}
		if err != nil {
			found.addWrong("%v", err)
			continue
		}
		found.merge(compareView(f.Name(), want, got))
	}
	return found, nil
}

func (l *loans) checkAgain(ctx context.Context, c client, b *book) (findings, error) {
	return resend(ctx, c, b, l.journal, l.random)
}
