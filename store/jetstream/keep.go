package jetstream

import (
	"context"
	"maps"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// keepsCommands is the value of metaKeep where commands are kept.
const keepsCommands = "true"

// KeepsCommands reports whether the namespace keeps the commands beside the
// events that they led to: what it was created with, or what was switched on
// before this log was opened.
func (l *Log) KeepsCommands() bool { return l.keeps }

// switchOn makes a namespace keep commands from now on. What is stored already
// stays as it is. Two who do it at once do the same.
func switchOn(ctx context.Context, js natsjs.JetStream, name string) error {
	stream, err := standing(ctx, js, name)
	if err != nil {
		return err
	}
	config := stream.CachedInfo().Config
	config.Metadata = maps.Clone(config.Metadata)
	config.Metadata[metaKeep] = keepsCommands
	_, err = js.UpdateStream(ctx, config)
	return err
}
