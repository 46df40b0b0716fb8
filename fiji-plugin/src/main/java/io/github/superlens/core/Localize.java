package io.github.superlens.core;

import java.io.File;
import java.io.IOException;

import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.Reply;

/** Finds single molecules in the open movie: a table of them, in ThunderSTORM too where that is, and what else is asked for. */
public final class Localize implements Command {

	private static final String TABLE = "save_table";

	@Override
	public void run(Values values, Host host) throws EngineException {
		final Job job = new Job(values, host).withCurrentImage();
		final boolean goesOn = host.opensOtherPlugins() && ThunderStorm.isInstalled();
		final File passed = goesOn && !values.has(TABLE) ? temporary() : null;
		if (passed != null) job.passing(TABLE, passed);
		try {
			final Reply reply = job.run();
			if (!reply.columns().isEmpty()) host.show("Superlens localizations", reply.columns(), reply.rows());
			if (passed != null) ThunderStorm.open(passed);
			else if (goesOn && values.text(TABLE).endsWith(".csv")) ThunderStorm.open(new File(values.text(TABLE)));
		}
		finally {
			if (passed != null && !passed.delete()) passed.deleteOnExit();
		}
	}

	private static File temporary() throws EngineException {
		try {
			return File.createTempFile("superlens-", ".csv");
		}
		catch (IOException full) {
			throw EngineException.user("There is no room for a table in the temporary folder (" + full.getMessage() + "). Free some, or name a file in save_table.");
		}
	}
}
