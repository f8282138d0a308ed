//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/gateway"
)

// atOnce is how many streams get their commands at the same time.
const atOnce = 16

// fill sends the commands of the history: to each stream one after the other,
// each with one to four events.
func (s *stage) fill(ctx context.Context) error {
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: s.conn, Namespace: namespace, Timeout: time.Minute})
	if err != nil {
		return err
	}
	sender := gateway.For(client, ledgers)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for stream := range s.streams {
		group.Go(func() error {
			for n := range s.commands {
				m := move{Cents: int64(n), Parts: 1 + (stream+n)%4}
				if _, err := sender.Send(ctx, fmt.Sprint(stream), m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
