package gateway

import (
	"context"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Whoever may make a stream chooses what its server does with what is stored there, which permissions do not
// see. So who keeps views need not be able to: it asks a node that is trusted with the log, and says which model.

// Maker makes what keeps a new model of a view, with settings of its own choice.
type Maker interface {
	// Make returns when the model's bucket is there, made empty if it was not. The error matches
	// [store.ErrInvalid] if there is no such view. It may be called from many goroutines.
	Make(ctx context.Context, model projector.Model) error
}

const typeMade = "io.annals.api.v1.projection_make_response"

// makeOperation is what nodes ask each other for.
var makeOperation = operation{"projection.make", `{"view": NAME, "version": N, "build": N}`, typeMade, false, (*Gateway).projectionMake}

type madeResponse struct {
	Type string `json:"type"`
}

func (g *Gateway) projectionMake(ctx context.Context, r reading) (any, error) {
	var model projector.Model
	if err := r.body(&model); err != nil {
		return nil, err
	}
	if err := store.ValidateName("view", model.View); err != nil {
		return nil, err
	}
	return madeResponse{typeMade}, g.config.Maker.Make(ctx, model)
}

// AskMake has another node make what keeps a model. The error matches [nats.ErrNoResponders] if nobody is there.
func (g *Gateway) AskMake(ctx context.Context, node string, model projector.Model) error {
	var answer madeResponse
	return g.relay(ctx, node, pathControl+makeOperation.verb, model, &answer)
}
