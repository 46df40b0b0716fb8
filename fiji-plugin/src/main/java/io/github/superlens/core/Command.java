package io.github.superlens.core;

import io.github.superlens.engine.EngineException;

/** What a menu item does, once its values are known. Stateless. */
public interface Command {

	/**
	 * Does it, and returns when it is done.
	 *
	 * @param values values of the command's parameters
	 * @param host where images come from and results go to
	 * @throws EngineException why it was not done, in a sentence
	 */
	void run(Values values, Host host) throws EngineException;
}
