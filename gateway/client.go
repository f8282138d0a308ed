package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// ClientConfig says how a [Client] asks. Conn and Namespace are needed.
type ClientConfig struct {
	// Conn is the connection to ask on. It is not closed.
	Conn *nats.Conn
	// Namespace is the first token of all subjects.
	Namespace string
	// Principal is whom the permissions of the NATS server let the connection ask
	// as: it may publish below <ns>.as.TOKEN., with the principal as [store.EncodeToken]
	// writes it, and the gateways take its word for it. Empty: the client asks
	// anonymously, or with Token.
	Principal string
	// Token returns the token to ask with, as it is at the moment; "" is none. It is
	// called for each request and must not block. Nil: none. [WithToken] names
	// another for one call.
	Token func() string
	// Partitions is how many partitions the namespace has. Commands and reads go
	// to the owner of their partition at once; a wrong number costs a detour. 0: a
	// node is asked at the first command.
	Partitions int
	// Timeout bounds a call whose context has no deadline. Default 5 s.
	Timeout time.Duration
	// ResendAfter is how long a command waits for its answer before it is sent
	// again under the same id; it doubles each time. Default 1 s: far above any
	// answer that is only slow, for resending cannot help that one.
	ResendAfter time.Duration
	// MinBackoff and MaxBackoff bound the pause before a command is sent again
	// after an answer that said so. Defaults 10 ms and 250 ms.
	MinBackoff, MaxBackoff time.Duration
	// Codec encodes commands. Default [store.MsgPack].
	Codec store.Codec
}

func (c ClientConfig) withDefaults() ClientConfig {
	setDefault(&c.Timeout, 5*time.Second)
	setDefault(&c.ResendAfter, time.Second)
	setDefault(&c.MinBackoff, 10*time.Millisecond)
	setDefault(&c.MaxBackoff, 250*time.Millisecond)
	if c.Codec == nil {
		c.Codec = store.MsgPack
	}
	return c
}

func (c ClientConfig) validate() error {
	if c.Conn == nil {
		return errors.New("gateway client config: Conn is needed")
	}
	if err := store.ValidateName("namespace", c.Namespace); err != nil {
		return fmt.Errorf("gateway client config: %w", err)
	}
	if c.Timeout < 0 || c.ResendAfter < 0 || c.MinBackoff < 0 || c.MaxBackoff < c.MinBackoff {
		return errors.New("gateway client config: a duration is negative, or MaxBackoff below MinBackoff")
	}
	if c.Partitions < 0 || c.Partitions > MaxPartitions {
		return fmt.Errorf("gateway client config: Partitions is out of [0, %d]", MaxPartitions)
	}
	return nil
}

// Client asks the gateways of a namespace. It may be used from many
// goroutines; each waits for its own answer.
//
// Its errors are [*Error], which match the sentinels that the server's own
// errors match; what no server said has Inferred set. What is refused before
// anything is sent is an [*store.InvalidError] or [*store.TooLargeError].
type Client struct {
	config     ClientConfig
	subjects   subjects
	inbox      *inbox
	partitions partitionCount
}

// NewClient checks the configuration. The client starts nothing and needs no
// closing; it keeps one subscription for as long as the connection lives. The
// error matches [store.ErrUnavailable] if the connection does not take that.
func NewClient(config ClientConfig) (*Client, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	asks := subjects{namespace: config.Namespace}
	if config.Principal != "" {
		token, err := store.EncodeToken(config.Principal)
		if err != nil {
			return nil, fmt.Errorf("gateway client config: Principal: %w", err)
		}
		asks.namespace = strings.TrimSuffix(asks.as(token), ".")
	}
	inbox, err := newInbox(config.Conn)
	if err != nil {
		return nil, fmt.Errorf("gateway client: %w: %w", store.ErrUnavailable, err)
	}
	client := &Client{config: config, subjects: asks, inbox: inbox}
	client.partitions.known.Store(int64(config.Partitions))
	return client, nil
}

func (c *Client) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.config.Timeout)
}

// decodeReply decodes a body as its Content-Type says. Fields that this build
// does not know are passed over: a newer server may say more.
func decodeReply(m *nats.Msg, v any) error {
	if m.Header.Get(HeaderContentType) == contentMsgPack {
		return store.MsgPack.Unmarshal(m.Data, v, false)
	}
	return json.Unmarshal(m.Data, v)
}
