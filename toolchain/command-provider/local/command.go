// Package local holds `command:local:Command`, a program run on this machine when its resource is created, updated or deleted, and
// `command:local:run`, one that is run each time it is asked for.
package local

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Command is the resource; its methods hold no state.
type Command struct{}

// Args are the resource's inputs.
type Args struct {
	Triggers *[]any  `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create   *string `pulumi:"create,optional"`
	Update   *string `pulumi:"update,optional"`
	Delete   *string `pulumi:"delete,optional"`
	Process
}

// Process says how a command line is run, whoever runs it.
type Process struct {
	Stdin                  *string            `pulumi:"stdin,optional"`
	Logging                *Logging           `pulumi:"logging,optional"`
	Interpreter            *[]string          `pulumi:"interpreter,optional"`
	Dir                    *string            `pulumi:"dir,optional"`
	Environment            *map[string]string `pulumi:"environment,optional"`
	AssetPaths             *[]string          `pulumi:"assetPaths,optional"`
	ArchivePaths           *[]string          `pulumi:"archivePaths,optional"`
	AddPreviousOutputInEnv *bool              `pulumi:"addPreviousOutputInEnv,optional"`
}

// Result is what a run leaves: its output without the last newline, and the files that the globs name.
type Result struct {
	Stdout  string                            `pulumi:"stdout"`
	Stderr  string                            `pulumi:"stderr"`
	Assets  *map[string]*types.AssetOrArchive `pulumi:"assets,optional"`
	Archive *resource.Archive                 `pulumi:"archive,optional"`
}

// State is the inputs plus the latest run's result.
type State struct {
	Args
	Result
}

// Annotate describes the inputs whose meaning the name doesn't give.
func (a *Args) Annotate(an infer.Annotator) {
	an.Describe(&a.Triggers, "The resource is replaced if any of these values changes.")
	an.Describe(&a.Create, "The command to run on creation, and on update if there is no `update`.")
	an.Describe(&a.Update, "The command to run when the inputs changed; `create` if not given.")
	an.Describe(&a.Delete, "The command to run on deletion; none if not given.")
}

// Annotate describes the inputs whose meaning the name doesn't give.
func (p *Process) Annotate(an infer.Annotator) {
	an.Describe(&p.Stdin, "Passed to the process as standard input.")
	an.Describe(&p.Logging, "Which output is shown while the process runs. Does not change what is captured. Defaults to both.")
	an.Describe(&p.Interpreter, "The program that is given the command line, with its arguments. Defaults to `[\"/bin/sh\", \"-c\"]`.")
	an.Describe(&p.Dir, "The working directory; it must exist. Defaults to the Pulumi project's.")
	an.Describe(&p.Environment, "Variables added to the engine's own environment.")
	an.Describe(&p.AssetPaths, "Globs of files to return as assets; a leading `!` excludes.")
	an.Describe(&p.ArchivePaths, "Globs of files to return as one archive; a leading `!` excludes.")
	an.Describe(&p.AddPreviousOutputInEnv, "Whether the previous run's output is passed on as PULUMI_COMMAND_STDOUT and PULUMI_COMMAND_STDERR. Defaults to true.")
}

// Create runs `create`, except in a preview.
func (*Command) Create(ctx context.Context, req infer.CreateRequest[Args]) (infer.CreateResponse[State], error) {
	state := State{Args: req.Inputs}
	id, err := resource.NewUniqueHex(req.Name, 8, 0)
	if err != nil || req.DryRun {
		return infer.CreateResponse[State]{ID: id, Output: state}, err
	}
	err = state.run(ctx, req.Inputs.Create)
	return infer.CreateResponse[State]{ID: id, Output: state}, err
}

// Update runs `update`, or `create` where there is none, except in a preview.
func (*Command) Update(ctx context.Context, req infer.UpdateRequest[Args, State]) (infer.UpdateResponse[State], error) {
	state := State{Args: req.Inputs, Result: req.State.Result}
	if req.DryRun {
		return infer.UpdateResponse[State]{Output: state}, nil
	}
	line := req.Inputs.Update
	if line == nil {
		line = req.Inputs.Create
	}
	err := state.run(ctx, line)
	return infer.UpdateResponse[State]{Output: state}, err
}

// Delete runs the `delete` that was declared when the resource was last created or updated.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[State]) (infer.DeleteResponse, error) {
	state := req.State
	return infer.DeleteResponse{}, state.run(ctx, state.Args.Delete)
}

// run runs one command line, if there is one, and keeps its result. A failed run leaves the previous result.
func (s *State) run(ctx context.Context, line *string) error {
	if line == nil {
		return nil
	}
	result, err := run(ctx, *line, s.Process, s.Result)
	if err != nil {
		return err
	}
	s.Result = result
	return nil
}
