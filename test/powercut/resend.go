//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
)

// How many commands are sent again after a restart: all would take longer than
// the load did.
const (
	resendLast   = 200
	resendRandom = 200
	resendAtOnce = 32
)

// resend sends commands again that the log holds: the last ones before the cut,
// which were the likeliest to be lost, and some from all over. Each must get
// the answer that the log knows, acknowledged before the cut or not, and take
// no effect again.
func resend(ctx context.Context, c client, b *book, j *journal, random *rand.Rand) (findings, error) {
	ids := make([]string, 0, len(b.commands))
	for id := range b.commands {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y string) int { return cmp.Compare(b.commands[y].position, b.commands[x].position) })
	last := ids[:min(resendLast, len(ids))]
	others := slices.Clone(ids[len(last):])
	slices.Sort(others)
	random.Shuffle(len(others), func(x, y int) { others[x], others[y] = others[y], others[x] })
	chosen := slices.Concat(last, others[:min(resendRandom, len(others))])

	wrong := make([]string, len(chosen))
	var all sync.WaitGroup
	for worker := range resendAtOnce {
		all.Go(func() {
			for i := worker; i < len(chosen); i += resendAtOnce {
				wrong[i] = resendOne(ctx, c, j.sent[chosen[i]], b.commands[chosen[i]])
			}
		})
	}
	all.Wait()
	var f findings
	for _, text := range wrong {
		if text != "" {
			f.addWrong("%s", text)
		}
	}
	return f, ctx.Err()
}

// resendOne returns what is wrong with the answer, "" if nothing.
func resendOne(ctx context.Context, c client, o order, e entry) string {
	if o.id == "" {
		return "" // never sent: told by checkLog
	}
	r, err := c.execute(ctx, o)
	switch {
	case err != nil:
		return fmt.Sprintf("command %s, sent again, was answered %v", o.id, err)
	case r.Version != e.version || r.Position != e.position || !r.Duplicate:
		return fmt.Sprintf("command %s, sent again, was answered %+v, the log has it as %+v", o.id, r, e)
	}
	return ""
}
