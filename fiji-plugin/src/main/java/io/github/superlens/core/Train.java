package io.github.superlens.core;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Reply;

/** Trains a model on the open image, or on a file or folder, and writes it. */
public final class Train implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		final Reply reply = new Job(values, host).withCurrentImage().run();
		host.log(reply.text());
	}
}
