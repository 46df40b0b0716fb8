package io.github.superlens.core;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Reply;

/** Finds single molecules in the open movie: a table of them, and what else is asked for. */
public final class Localize implements Command {

	@Override
	public void run(Values values, Host host) throws EngineException {
		final Reply reply = new Job(values, host).withCurrentImage().run();
		if (!reply.columns().isEmpty()) host.show("Superlens localizations", reply.columns(), reply.rows());
	}
}
