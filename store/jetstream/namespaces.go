package jetstream

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// Namespaces returns the names of the namespaces that the server keeps, sorted:
// for those who look for one that is not there. The error matches
// [store.ErrUnavailable].
func Namespaces(ctx context.Context, conn *nats.Conn) ([]string, error) {
	js, err := natsjs.New(conn)
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", unavailable(err))
	}
	streams := js.ListStreams(ctx)
	var found []string
	for info := range streams.Info() {
		name, is := strings.CutPrefix(info.Config.Name, "ANNALS_")
		name, whole := strings.CutSuffix(name, "_events")
		if is && whole && info.Config.Metadata[metaKind] == kindEvents {
			found = append(found, name)
		}
	}
	if err := streams.Err(); err != nil {
		return nil, fmt.Errorf("list namespaces: %w", unavailable(err))
	}
	slices.Sort(found)
	return found, nil
}
