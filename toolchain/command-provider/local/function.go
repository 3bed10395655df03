package local

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// Run is the function `command:local:run`: a program run whenever the Pulumi program asks for it, in previews too.
type Run struct{}

// RunArgs are the function's inputs.
type RunArgs struct {
	Command string `pulumi:"command"`
	Process
}

// RunResult is the inputs plus what the run left.
type RunResult struct {
	RunArgs
	Result
}

// Annotate describes the function and the input that the name doesn't explain.
func (r *Run) Annotate(an infer.Annotator) {
	an.Describe(r, "Runs a command on this machine each time the program runs, previews included, and keeps nothing.")
}

// Annotate describes the input that is the function's own.
func (a *RunArgs) Annotate(an infer.Annotator) { an.Describe(&a.Command, "The command to run.") }

// Invoke runs the command.
func (*Run) Invoke(ctx context.Context, req infer.FunctionRequest[RunArgs]) (infer.FunctionResponse[RunResult], error) {
	result, err := run(ctx, req.Input.Command, req.Input.Process, Result{})
	return infer.FunctionResponse[RunResult]{Output: RunResult{RunArgs: req.Input, Result: result}}, err
}
